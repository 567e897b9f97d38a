//! Durable records: an append-only log, snapshots, and recovery, over a file trait that a simulator can break.
//!
//! - [`Log`] takes entries into a buffer ([`Log::append`]), writes them ([`Log::flush_to`]) and syncs them ([`Log::sync`]).
//! - [`LogJournal`] is a log as a replica sees it, with the durability of the configuration.
//! - [`Snapshot`] writes everything anew, so that the log before it can go; after a failed write it is the recovery too.
//! - [`recover`] reads the newest snapshot and the log behind it at the start of a node, past torn and damaged bytes; [`recover_ahead`]
//!   does it on two threads.
//! - [`StoreThread`] does the waiting for the disk.
//! - [`Files`] is the directory: [`DiskFiles`], or [`SimFiles`] in the simulator.
//!
//! Entries are opaque here. A node recovers first, then begins the log, then serves.
//!
//! But for [`StoreThread`] and [`recover_ahead`], the crate has no thread, clock or randomness: a simulator owns time and chance.
//!
//! Bounds: bytes that wait for the disk, bytes of log before a snapshot is due, length of an entry, damaged places kept in words.

mod disk_files;
mod driver;
mod entry_reader;
mod file_head;
mod files;
mod framing;
mod log;
mod log_journal;
mod log_options;
mod log_status;
mod read_ahead;
mod recover;
mod recovered;
mod sim_files;
mod snapshot;
mod store_config;

#[cfg(test)]
mod tests;

pub use disk_files::{DiskFile, DiskFiles, FolderError};
pub use driver::{StoreThread, SyncRequests};
pub use file_head::{FORMAT, OLDEST_READER};
pub use files::{Files, OpenFile};
pub use log::Log;
pub use log_journal::LogJournal;
pub use log_options::LogOptions;
pub use log_status::LogStatus;
pub use read_ahead::recover_ahead;
pub use recover::recover;
pub use recovered::{DAMAGES_MAX, Damage, RecoverError, Recovered, RecoveryProgress, TornTail};
pub use sim_files::{DiskOperation, SimFile, SimFiles};
pub use snapshot::{EntryRun, Snapshot, SnapshotError, SnapshotSource, backup, snapshot};
pub use store_config::{Durability, StoreConfig};
