//! Client connections: the listener, one task per session, and one batcher per worker that decides their input.
//!
//! Owns client sockets, the order of replies, and topics. Decides nothing: bytes go to a guest through [`SessionsHost`], which
//! the node implements, and this crate performs the effects that come back. Knows nothing of peers, HTTP and wasm.
//!
//! Bounds ([`SessionLimits`]): sessions in total; sessions, new connections, lines and bytes a second per address; bytes of a line, of
//! unsent output and of waiting pushes; time for an unfinished line, for an idle client and for one that does not read. Fetches per
//! session are bounded by constants; the node bounds the wait of a reply for its keep to be confirmed.
//!
//! ```text
//! listener -> session (task, socket) -> worker_sessions (task) -> core::batcher -> SessionsHost
//!             session <- core::reply_queue <- core::conversation <-----------------'
//! ```

mod accept_error;
mod address_limits;
mod admission;
mod client_stream;
mod core;
mod fetches;
mod handoff;
mod host;
mod limits;
mod listener;
mod network;
mod refusals;
mod reporters;
mod session;
mod session_state;
mod shared;
mod synthetic_load;
#[cfg(test)]
mod test_host;
mod tls;
mod transport;
mod waiting_sessions;
mod worker_sessions;

pub use self::core::{Dialogue, Dialogues, FetchId, SLOT_TIMEOUT, StartedFetch, Topics};
pub use address_limits::AddressLimits;
pub use host::{KeepProgress, KeepRequest, Provenance, SessionsHost, Undecided};
pub use limits::SessionLimits;
pub use listener::{Sessions, SessionsStatus};
pub use network::{Network, NotANetwork};
pub use reporters::{Reporter, Reporters};
pub use synthetic_load::SyntheticLoad;
pub use tls::certificate::{TlsCertificate, TlsCertificateError};
pub use tls::handshakes::TlsPort;
