//! Peers: links between nodes, and flooding over them.
//!
//! Owns link sockets, the queue of each link, and who is connected. It carries reports and never looks into them;
//! what to make of one is decided by the node through [`PeersHost`]. It knows nothing about guests, sessions or records.
//!
//! One link per pair of nodes, whoever dials first. There is no TLS yet, so only loopback addresses are taken; the
//! handshake is where it will go.
//!
//! Bounds: bytes of a frame (fewer before the handshake), bytes of a link's queue, time for the handshake, for a
//! write, and between pings.

mod clock_offset;
mod connect;
mod frame;
mod handshake;
mod host;
mod limits;
mod link_queue;
mod link_task;
mod listen;
mod mesh;
mod peer;
mod start;
mod status;

pub use handshake::{HandshakeError, Identity};
pub use host::PeersHost;
pub use limits::LinkLimits;
pub use mesh::Peers;
pub use status::{LinkState, LinkStatus, PeersStatus};
