//! The operating system, as the host uses it: clock, threads, sockets, files, logs.
//!
//! Owns what is global to a process: the time of day, randomness, worker threads. Knows nothing of sessions, peers and wasm.
//! Each file names its bounds.

pub mod accounts;
mod address_group;
mod atomic_write;
mod client_sockets;
pub mod clock;
pub mod connect;
mod directory_sync;
pub mod file_name;
mod file_store;
pub mod guest_log;
mod handshakes;
mod held_directory;
mod histogram;
mod host_memory;
mod host_port;
#[cfg(target_os = "linux")]
mod huge_pages;
mod inherited_sockets;
mod log_throttle;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod malloc_arenas;
mod passed_sockets;
mod per_worker;
mod private_directory;
pub mod private_file;
pub mod socket;
mod socket_directory;
mod socket_peer;
mod span;
mod state_directory;
mod supervisor;
mod thread_priority;
mod tls_socket;
mod tracer;
mod traffic_log;
mod watched_file;
pub mod workers;

pub use address_group::address_group;
pub use atomic_write::{create_atomically, write_atomically};
pub use client_sockets::ClientSocket;
pub use file_store::FileStore;
pub use handshakes::{HandshakeLimit, HandshakeLimits, HandshakePermit, Handshakes};
pub use held_directory::HeldDirectory;
pub use histogram::{Histogram, HistogramCounts};
pub use host_memory::{HostMemory, file_bytes_max, memory_is_short};
pub use host_port::{Host, HostError, HostPort, LookupError, Resolver};
#[cfg(target_os = "linux")]
pub use huge_pages::leave_huge_pages_to_advice;
pub use inherited_sockets::{InheritedSocketError, InheritedSockets, PassedBy, socket_name, socket_name_elsewhere};
pub use log_throttle::LogThrottle;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use malloc_arenas::limit_malloc_arenas;
pub use passed_sockets::PassedSockets;
pub use per_worker::PerWorker;
pub use private_directory::create_private_directory;
pub use socket_directory::{FileOwner, SocketDirectory, SocketUsers};
pub use socket_peer::SocketPeer;
pub use span::{Attribute, Span, SpanKind};
pub use state_directory::{NoStateDirectory, state_directory};
pub use supervisor::Supervisor;
pub use thread_priority::lower_priority;
pub use tls_socket::{DetachedTlsSocket, TlsSocket};
pub use tracer::{Sampler, SpanQueue, Tracer, TracerCounts};
pub use traffic_log::{TrafficLog, TrafficLogError};
pub use watched_file::{Look, WatchedFile};
