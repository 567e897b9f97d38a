//! Live link: one connection to a peer, with its queue.
//!
//! Owns the rule for which of two links between the same nodes stays. Knows nothing of sockets. Bounds: those of
//! [`LinkQueue`] and of the outbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use herd_replication::LinkPort;
use herd_sys::clock::unix_now;
use herd_sys::workers;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::clock_offset::ClockOffset;
use super::failure_detector::FailureDetector;
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
    /// Cancelled to end this link with the node.
    pub(super) ending: CancellationToken,
    /// Cancelled once another link is up in the place of this one.
    pub(super) replaced: CancellationToken,
    /// Failure detector of the peer.
    pub(super) detector: Arc<FailureDetector>,
    /// The peer was silent for the timeout of the failure detector, and still is.
    is_suspect: AtomicBool,
    /// The certificate with which the peer opened the link has expired, or its authority is retired.
    is_outdated: AtomicBool,
    /// When the link came up, for durations.
    pub(super) began: Instant,
    /// When the link came up, in seconds since the Unix epoch.
    pub(super) since_s: u64,
    /// Epoch of the peer: random at each of its starts.
    epoch: u64,
    /// Version of the protocol that the link speaks.
    pub(super) version: u16,
    direction: Direction,
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
        (epoch, version): (u64, u16),
        direction: Direction,
        queue_bytes_max: usize,
        ending: CancellationToken,
        detector: Arc<FailureDetector>,
    ) -> Self {
        let queue = Arc::<LinkQueue>::default();
        let port = LinkPort::new(peer, queue_bytes_max, workers::slots(), WakeTask(Arc::clone(&queue)));
        Self {
            peer: peer.into(),
            queue,
            port,
            clock_offset: Mutex::default(),
            ending,
            replaced: CancellationToken::new(),
            detector,
            is_suspect: AtomicBool::new(false),
            is_outdated: AtomicBool::new(false),
            began: Instant::now(),
            since_s: unix_now().as_secs(),
            epoch,
            version,
            direction,
        }
    }

    /// Returns whether this link stays although another one is offered in its place.
    ///
    /// Both nodes evaluate this by themselves, in whatever order the two connections arrive, and have to agree, or each
    /// would close the connection that the other one keeps. `preferred` is therefore the direction of one and the same
    /// connection, seen from either side ([`Direction::preferred`]).
    pub(super) fn must_stay(&self, epoch: u64, direction: Direction, preferred: Direction) -> bool {
        if self.is_of_another_process(epoch) {
            // Either the peer has restarted, and this link leads to a process that is gone, or two nodes run under one name. As long as
            // the process at the other end answers, it is the second, and the newcomer is refused.
            return !self.is_suspect();
        }
        // The same direction: a node connects only while it has no link, or one that it wants replaced.
        self.direction != direction && direction != preferred
    }

    /// Returns whether a connection that this node opens could take the place of this link.
    pub(super) fn gives_way_to_outbound(&self, preferred: Direction) -> bool {
        self.direction == Direction::Outbound || preferred == Direction::Outbound
    }

    /// Returns whether the peer is silent, so that another connection to it is tried.
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }

    /// Begins or ends the suspicion of the link.
    pub(super) fn set_suspect(&self, is_suspect: bool) {
        self.is_suspect.store(is_suspect, Ordering::Relaxed);
        self.detector.link_changed.notify_waiters();
    }

    /// Returns whether another connection is to be opened beside this link: the peer is silent, or one of the
    /// certificates no longer good.
    pub(super) fn wants_another(&self) -> bool {
        self.is_suspect() || self.is_outdated.load(Ordering::Relaxed)
    }

    /// Notes that the certificate of one of the two nodes is no longer good, or not for long. That node may have a new one.
    pub(super) fn set_outdated(&self) {
        self.is_outdated.store(true, Ordering::Relaxed);
        self.detector.link_changed.notify_waiters();
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
