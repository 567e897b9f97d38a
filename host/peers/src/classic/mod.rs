//! Classic links, outgoing: records as plain lines to older programs that flood `AT` lines among themselves.
//!
//! [`ClassicPeers`] has a task for each configured peer, which reads a change feed of the replica and sends each record as one line. These
//! peers acknowledge nothing and count for nothing: not for convergence, not for the acknowledgement of records. What they send comes in
//! as input of sessions, on a listener of its own.
//!
//! A record goes to every peer but the one that it came from. A peer that was away, or too slow for its queue, is sent everything when it
//! is back: it keeps records in memory, and nothing tells a pause from a restart.
//!
//! Knows nothing of guests. Bounds ([`ClassicLimits`]): bytes of the queue of a peer; connections at once to a peer
//! (`CONNECTIONS_MAX` in `delivery`); time to connect, to write, and for a peer to close; the wait between attempts.

mod delivery;
mod limits;
mod peer;
mod peers;
mod status;
mod task;
#[cfg(test)]
mod tests;

pub use limits::{ClassicConnections, ClassicLimits};
pub use peers::ClassicPeers;
pub use status::{ClassicPeerState, ClassicPeerStatus};
