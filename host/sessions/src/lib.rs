//! Clients: the listener, one task per session, and one desk per worker where their input is decided.
//!
//! Owns client sockets, the order of replies, and topics. It decides nothing: bytes go to a guest through
//! [`SessionsHost`], which the node implements, and what comes back is performed here. It knows nothing about
//! links, HTTP or wasm.
//!
//! Bounds: sessions in total and per address, bytes of a line, of waiting output and of waiting pushes, fetches
//! under way per session, and time for an unfinished line, for idling and for a client that does not read.

mod core;
mod fetches;
mod host;
mod limits;
mod listener;
mod session;
mod session_state;
mod shared;
mod synthetic_load;
mod transport;
mod worker_sessions;

pub use self::core::Topics;
pub use host::{KeepRequest, SessionsHost, Undecided};
pub use limits::SessionLimits;
pub use listener::{Sessions, SessionsStatus};
pub use synthetic_load::SyntheticLoad;
