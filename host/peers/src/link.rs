//! Live link: one connection to a peer, with its queue.
//!
//! Owns the rule for which of two links between the same nodes stays. Knows nothing of sockets. Bounds: those of
//! [`LinkQueue`] and of the outbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_replication::LinkPort;
use herd_sys::clock::unix_now;
use herd_sys::workers;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::clock_offset::ClockOffset;
use super::link_queue::{LinkQueue, WakeTask};

/// One live link.
pub(super) struct Link {
    /// Name of the peer.
    pub(super) peer: String,
    pub(super) queue: Arc<LinkQueue>,
    /// The link, as the node's keeps see it.
    pub(super) port: Arc<LinkPort>,
    /// Result of the last ping.
    pub(super) clock_offset: Mutex<Option<ClockOffset>>,
    /// Cancelled to end this link.
    pub(super) ending: CancellationToken,
    /// When the link came up, for durations.
    pub(super) began: Instant,
    /// When the link came up, in seconds since the Unix epoch.
    pub(super) since_s: u64,
    /// Epoch of the peer: random at each of its starts.
    epoch: u64,
    direction: Direction,
}

/// End of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkEnd {
    /// Time that it was up.
    pub(super) lasted: Duration,
    /// The reason, unless a node ended it on purpose.
    pub(super) error: Option<String>,
}

/// Side that connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// This node connected to the peer.
    Outbound,
    /// The peer connected to this node.
    Inbound,
}

impl Link {
    /// Creates the link of an accepted handshake. It is up from now on.
    pub(super) fn new(
        peer: &str,
        epoch: u64,
        direction: Direction,
        queue_bytes_max: usize,
        ending: CancellationToken,
    ) -> Self {
        let queue = Arc::<LinkQueue>::default();
        let port = LinkPort::new(peer, queue_bytes_max, workers::slots(), WakeTask(Arc::clone(&queue)));
        Self {
            peer: peer.into(),
            queue,
            port,
            clock_offset: Mutex::default(),
            ending,
            began: Instant::now(),
            since_s: unix_now().as_secs(),
            epoch,
            direction,
        }
    }

    /// Returns whether this link stays although another one is offered in its place.
    ///
    /// Both nodes evaluate this by themselves, in whatever order the two connections arrive, and have to agree, or each
    /// would close the connection that the other one keeps. `preferred` is therefore the direction of one and the same
    /// connection, seen from either side ([`Direction::preferred`]).
    pub(super) fn must_stay(&self, epoch: u64, direction: Direction, preferred: Direction) -> bool {
        // Another epoch: either the peer has restarted, and this link leads to a process that is gone, or two nodes run under one
        // name. As long as the process at the other end answers, it is the second, and the newcomer is refused.
        // The same direction: a node connects only while it has no link, so its side of this one is dead already.
        self.is_of_another_process(epoch) || (self.direction != direction && direction != preferred)
    }

    /// Returns whether a process of this epoch is another one than that at the other end.
    pub(super) fn is_of_another_process(&self, epoch: u64) -> bool {
        self.epoch != epoch
    }
}

impl Direction {
    /// Returns which of two connections that both nodes opened at the same time is kept: the one that the node with the
    /// smaller name opened.
    pub(super) fn preferred(own: &str, peer: &str) -> Self {
        if own < peer { Self::Outbound } else { Self::Inbound }
    }
}
