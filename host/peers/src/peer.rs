//! Peer: another node, and the link to it while there is one.
//!
//! Owns the replacement of one link by another, without loss of the reports that wait. Knows nothing of sockets and of
//! other peers. Bounds: one link; its queue is bounded by [`LinkQueue`](super::link_queue::LinkQueue).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::clock_offset::ClockOffset;
use super::link::{Direction, Link};
use super::status::{LinkState, LinkStatus};

/// Another node, connected or not.
#[derive(Default)]
pub(super) struct Peer {
    link: Mutex<Option<Arc<Link>>>,
    /// Notified when the link comes up or goes down.
    pub(super) link_changed: Notify,
    /// Why there is no link, or why the last one ended.
    last_error: Mutex<Option<String>>,
    /// Reports dropped by links that have ended.
    dropped: AtomicU64,
}

impl Peer {
    /// Returns the live link.
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.lock().clone()
    }

    /// Returns whether there is a live link.
    pub(super) fn is_linked(&self) -> bool {
        self.link.lock().is_some()
    }

    /// Installs a new link and ends the one that it replaces. Returns `None` if that one stays ([`Link::must_stay`]);
    /// then nothing changed and `link` was not called.
    pub(super) fn install(
        &self,
        epoch: u64,
        direction: Direction,
        preferred: Direction,
        link: impl FnOnce() -> Link,
    ) -> Option<Arc<Link>> {
        let mut current = self.link.lock();
        if current.as_ref().is_some_and(|old| old.must_stay(epoch, direction, preferred)) {
            return None;
        }
        let link = Arc::new(link());
        if let Some(old) = current.replace(Arc::clone(&link)) {
            // Its task sends what waits and says goodbye, and then calls `remove`.
            old.ending.cancel();
        }
        drop(current);
        self.set_last_error(None);
        Some(link)
    }

    /// Removes a link that has ended, and returns whether it was the current one, that is, not replaced.
    ///
    /// Reports that it had not sent move to the link that replaced it. Without one they are counted as dropped; the next
    /// link sends every record anyway.
    pub(super) fn remove(&self, link: &Arc<Link>, error: Option<String>) -> bool {
        let mut current = self.link.lock();
        // By pointer: a link that was replaced ends after its successor came up, and must not remove it.
        let was_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link));
        if was_current {
            *current = None;
        }
        drop(current);
        self.dropped.fetch_add(link.queue.outbox().dropped(), Ordering::Relaxed);
        // After the slot was cleared: floods that still hold this link find its queue closed and come to `push`, which must
        // not offer them the same link again.
        link.queue.close().iter().for_each(|report| self.push(report));
        if was_current {
            self.set_last_error(error);
        }
        was_current
    }

    /// Queues a report, whose link has ended, on the current link. Without one it is counted as dropped.
    pub(super) fn push(&self, report: &[u8]) {
        let taken = self.link().is_some_and(|link| link.queue.push(report));
        self.dropped.fetch_add(u64::from(!taken), Ordering::Relaxed);
    }

    /// Returns the last recorded reason why there is no link.
    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }

    /// Records why there is no link, for the status.
    pub(super) fn set_last_error(&self, why: Option<String>) {
        *self.last_error.lock() = why;
    }

    /// Returns the status of the peer and its link.
    pub(super) fn status(&self, name: &str) -> LinkStatus {
        let link = self.link();
        let clock_offset = link.as_ref().and_then(|link| *link.clock_offset.lock());
        let dropped = self.dropped.load(Ordering::Relaxed);
        LinkStatus {
            peer: name.into(),
            state: match &link {
                None => LinkState::Down,
                Some(link) if link.queue.outbox().is_behind() => LinkState::Behind,
                Some(_) => LinkState::Up,
            },
            since_s: link.as_ref().map(|link| link.since_s),
            queued_bytes: link.as_ref().map_or(0, |link| link.queue.outbox().bytes()),
            dropped_reports: dropped + link.as_ref().map_or(0, |link| link.queue.outbox().dropped()),
            round_trip_ms: clock_offset.map(ClockOffset::round_trip_ms),
            clock_ahead_ms: clock_offset.map(ClockOffset::ahead_ms),
            last_error: self.last_error.lock().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use herd_replication::{ReportBatch, WireReport};
    use tokio_util::sync::CancellationToken;

    use super::Direction::{Inbound, Outbound};
    use super::*;
    use crate::link_queue::LinkQueue;

    fn install(peer: &Peer, epoch: u64, direction: Direction) -> Option<Arc<Link>> {
        let link = || Link::new("Jaquez", epoch, direction, LinkQueue::new(1 << 20), CancellationToken::new());
        peer.install(epoch, direction, Outbound, link)
    }

    #[test]
    fn simultaneous_links_leave_the_preferred_one_in_any_order_of_arrival() {
        let (first, second) = (Peer::default(), Peer::default());
        let kept = install(&first, 1, Outbound).unwrap();
        assert!(install(&first, 1, Inbound).is_none());
        assert!(Arc::ptr_eq(&first.link().unwrap(), &kept));
        let replaced = install(&second, 1, Inbound).unwrap();
        let kept = install(&second, 1, Outbound).unwrap();
        assert!(replaced.ending.is_cancelled() && Arc::ptr_eq(&second.link().unwrap(), &kept));
    }

    #[test]
    fn restarted_peer_replaces_its_old_link() {
        let peer = Peer::default();
        let old = install(&peer, 1, Outbound).unwrap();
        assert!(install(&peer, 2, Inbound).is_some());
        assert!(old.ending.is_cancelled());
    }

    #[test]
    fn replaced_link_hands_its_unsent_reports_to_its_successor() {
        let peer = Peer::default();
        let mut reports = ReportBatch::default();
        reports.add(&WireReport { key: b"k", reign: 0, rank: b"", form: 0, record: b"", origin: "Riley" });
        let report = reports.bytes();
        let old = install(&peer, 1, Inbound).unwrap();
        assert!(old.queue.push(report));
        let new = install(&peer, 1, Outbound).unwrap();
        assert!(!peer.remove(&old, None), "its successor is current");
        assert_eq!(new.queue.outbox().take(), reports);
        assert!(!old.queue.push(report), "an ended link takes no report");
        assert!(peer.remove(&new, None));
        assert_eq!(peer.status("Jaquez").dropped_reports, 0);
    }
}
