//! Peers: links between the nodes of a herd, and flooding over them.
//!
//! - `listen` and `connect` open connections, `handshake` identifies the peer.
//! - `silence` and `failure_detector` judge when a peer that says nothing is suspect; then `connect` opens another connection.
//! - [`Peers`] (`mesh`) admits one link per pair of nodes, whichever node connected.
//! - [`classic`] sends records as plain lines to older programs.
//! - `probe` asks a node who it is without a link, for `herd doctor`.
//! - `link_task` drives the link machine of replication and carries messages; reports of the peer go to the node.
//!
//! The crate owns sockets. It knows nothing of guests, sessions or what records mean; the node implements [`PeersHost`].
//!
//! Links are mutual TLS, always: `handshake` takes the peer for what its certificate says, and `link_task` ends the link once the
//! certificate is revoked or has expired.
//!
//! Bounds: bytes of a frame (fewer before the peer is known), handshakes in progress, bytes of a link's queue, and time
//! for connecting, for the handshake, for a write, and between frames of the peer.

pub mod classic;
mod clock_offset;
mod connect;
mod failure_detector;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handshake;
mod host;
mod limits;
mod link;
mod link_queue;
mod link_stream;
mod link_task;
mod listen;
mod mesh;
mod node_answer;
mod peer;
mod probe;
mod protocol_version;
mod refusals;
mod silence;
mod start;
mod status;
#[cfg(test)]
mod test_identity;
#[cfg(test)]
mod tests;

pub use handshake::LocalNode;
pub use host::PeersHost;
pub use limits::LinkLimits;
pub use mesh::Peers;
pub use node_answer::NodeAnswer;
pub use probe::{ProbeError, Probed, probe};
pub use status::{LinkState, LinkStatus, PeersStatus};
