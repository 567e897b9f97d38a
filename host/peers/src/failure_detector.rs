//! Failure detector of a peer: the silence after which its link is suspected, adapted to how slow the peer is.
//!
//! Shared by a peer and its links, one after the other. Knows nothing of sockets and clocks. Bounds: the silence that ends a link.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Failure detector of a peer.
///
/// A link whose peer is silent for the timeout is *suspect*, and the node that connects dials a second connection beside it. As in the
/// literature on unreliable failure detectors (Chandra and Toueg, 1996), a wrong suspicion raises the timeout, so that a peer that is slow
/// does not lose one link after the other.
pub(super) struct FailureDetector {
    /// Notified when the link comes up or goes down, and when a suspicion begins or ends.
    pub(super) link_changed: Notify,
    timeout_ms: AtomicU64,
}

impl Default for FailureDetector {
    fn default() -> Self {
        Self { link_changed: Notify::default(), timeout_ms: AtomicU64::new(TIMEOUT_MIN_MS) }
    }
}

impl FailureDetector {
    /// Returns the silence after which a link is suspect.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.load(Ordering::Relaxed))
    }

    /// Notes how a suspicion turned out. If the network was there all the time, the peer was slow, and may be as slow again.
    pub(super) fn learn(&self, network_was_there: bool) {
        let doubled = (self.timeout_ms.load(Ordering::Relaxed) * 2).min(TIMEOUT_MAX_MS);
        self.timeout_ms.store(if network_was_there { doubled } else { TIMEOUT_MIN_MS }, Ordering::Relaxed);
    }
}

/// More than two heartbeats that are late, and less than a short cut: the kernel sends again 0.2, 0.6, 1.4 and 3 seconds after a loss, so
/// that a cut of a second is over before the third time, and one of two seconds is not.
const TIMEOUT_MIN_MS: u64 = 750;
/// A slow peer is suspected this late at the latest.
const TIMEOUT_MAX_MS: u64 = 6000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicion_waits_longer_after_a_false_one_and_as_before_after_a_cut() {
        let detector = FailureDetector::default();
        let first = detector.timeout();
        detector.learn(true);
        assert_eq!(detector.timeout(), first * 2);
        (0..9).for_each(|_| detector.learn(true));
        assert_eq!(detector.timeout(), Duration::from_millis(TIMEOUT_MAX_MS));
        detector.learn(false);
        assert_eq!(detector.timeout(), first);
    }
}
