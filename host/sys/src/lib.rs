//! What the host asks of the operating system: threads, files, sockets, logs.

pub mod clock;
pub mod file_name;
mod file_store;
pub mod guest_log;
pub mod socket;
mod state_directory;
mod traffic_log;
mod watched_file;
pub mod workers;

pub use file_store::FileStore;
pub use state_directory::{NoStateDirectory, state_directory};
pub use traffic_log::{TrafficLog, TrafficLogError};
pub use watched_file::{Look, WatchedFile};
