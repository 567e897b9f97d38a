//! Classic links of a node: the sessions of their listener, and the peers that are sent lines.
//!
//! Lines of peers are inputs of a guest like those of clients, on instances that are told the listener; `classic_lines` has what becomes of
//! them. Bounds: those of its parts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herd_peers::classic::ClassicPeerStatus;
use herd_sessions::{Sessions, SessionsStatus};
use serde::Serialize;

use crate::classic_lines::ClassicLines;
use crate::sessions_host::SessionsAdapter;

/// Classic links of a node.
pub(crate) struct ClassicLinks {
    /// Sessions of the listener, with its address. None for a node that only sends.
    pub(crate) listener: Option<(SocketAddr, Sessions<SessionsAdapter>)>,
    pub(crate) lines: Arc<ClassicLines>,
}

impl ClassicLinks {
    pub(crate) fn status(&self) -> ClassicStatus {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let lines = &*self.lines;
        ClassicStatus {
            address: self.listener.as_ref().map(|(address, _)| *address),
            connections: self.listener.as_ref().map(|(_, sessions)| sessions.status()),
            lines: count(&lines.lines),
            applied: count(&lines.applied),
            outranked: count(&lines.outranked),
            refused: count(&lines.refused),
            invalid: count(&lines.invalid),
            replies_dropped: count(&lines.replies_dropped),
            peers: lines.peers.status(),
        }
    }

    /// Stops accepting, and lets lines that were read be decided. Cancel safe.
    pub(crate) async fn drain(&self, grace: Duration) {
        if let Some((_, sessions)) = &self.listener {
            sessions.drain(grace).await;
        }
    }
}

/// Status of classic links, as `herd status` shows it: numbers since the start of the node.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ClassicStatus {
    /// Address of the listener.
    pub(crate) address: Option<SocketAddr>,
    /// Connections of peers.
    pub(crate) connections: Option<SessionsStatus>,
    /// Lines of peers that the guest consumed.
    pub(crate) lines: u64,
    /// Records of such lines that won and were flooded.
    pub(crate) applied: u64,
    /// Records that the node had already, or that rank lower than one that it has.
    pub(crate) outranked: u64,
    /// Records for which the node had no room, or which its log could not take.
    pub(crate) refused: u64,
    /// Lines that the guest kept nothing of.
    pub(crate) invalid: u64,
    /// Replies of the guest that were dropped: more than none if it takes the lines for commands.
    pub(crate) replies_dropped: u64,
    /// Peers that are sent lines.
    pub(crate) peers: Vec<ClassicPeerStatus>,
}
