//! One peer and its link, if there is one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::clock_offset::ClockOffset;
use super::link_queue::LinkQueue;
use super::status::{LinkState, LinkStatus};

/// One peer, connected or not.
#[derive(Default)]
pub(super) struct Peer {
    link: Mutex<Option<Arc<Link>>>,
    /// Changes when the link comes or goes.
    pub(super) link_changed: Notify,
    last_error: Mutex<Option<String>>,
    dropped: AtomicU64,
}

/// One live link.
pub(super) struct Link {
    pub(super) peer: String,
    pub(super) queue: LinkQueue,
    pub(super) clock_offset: Mutex<Option<ClockOffset>>,
    /// Cancelled to end this link.
    pub(super) ending: CancellationToken,
    epoch: u64,
    /// This node dialed.
    dialed: bool,
    since: SystemTime,
    pub(super) began: Instant,
}

impl Link {
    pub(super) fn new(peer: &str, epoch: u64, dialed: bool, queue: LinkQueue, ending: CancellationToken) -> Self {
        Self {
            peer: peer.into(),
            queue,
            clock_offset: Mutex::default(),
            ending,
            epoch,
            dialed,
            since: SystemTime::now(),
            began: Instant::now(),
        }
    }

    /// Whether a link that is offered in place of this one must not replace it: it is of the same lives of both nodes,
    /// was dialed by the other side, and this one was dialed by the side that both prefer.
    fn must_stay(&self, epoch: u64, dialed: bool, preferred: bool) -> bool {
        self.epoch == epoch && self.dialed != dialed && !preferred
    }
}

impl Peer {
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        lock(&self.link).clone()
    }

    pub(super) fn is_linked(&self) -> bool {
        lock(&self.link).is_some()
    }

    /// Puts a link in place, and ends the one it replaces. Nothing if that one stays. `preferred` says that of two
    /// links dialed at the same time this is the one to keep.
    pub(super) fn install(
        &self,
        epoch: u64,
        dialed: bool,
        preferred: bool,
        link: impl FnOnce() -> Link,
    ) -> Option<Arc<Link>> {
        let mut current = lock(&self.link);
        if current.as_ref().is_some_and(|old| old.must_stay(epoch, dialed, preferred)) {
            return None;
        }
        let link = Arc::new(link());
        if let Some(old) = current.replace(Arc::clone(&link)) {
            old.ending.cancel();
        }
        drop(current);
        self.set_last_error(None);
        Some(link)
    }

    /// Takes a link that has ended away. What it had not sent goes to the link that replaced it, or is counted as
    /// dropped. True if nothing replaced it.
    pub(super) fn remove(&self, link: &Arc<Link>, error: Option<String>) -> bool {
        let mut current = lock(&self.link);
        let was_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link));
        if was_current {
            *current = None;
        }
        drop(current);
        self.dropped.fetch_add(link.queue.outbox().dropped(), Ordering::Relaxed);
        link.queue.close().iter().for_each(|report| self.push(report));
        if was_current {
            self.set_last_error(error);
        }
        was_current
    }

    /// Hands a report that its link did not take to the link that is there now, if any.
    pub(super) fn push(&self, report: &[u8]) {
        let taken = self.link().is_some_and(|link| link.queue.push(report));
        self.dropped.fetch_add(u64::from(!taken), Ordering::Relaxed);
    }

    /// Notes why there is no link.
    pub(super) fn set_last_error(&self, why: Option<String>) {
        *lock(&self.last_error) = why;
    }

    pub(super) fn status(&self, name: &str) -> LinkStatus {
        let link = self.link();
        let clock_offset = link.as_ref().and_then(|link| *lock(&link.clock_offset));
        let dropped = self.dropped.load(Ordering::Relaxed);
        LinkStatus {
            peer: name.into(),
            state: match &link {
                None => LinkState::Down,
                Some(link) if link.queue.outbox().is_behind() => LinkState::Behind,
                Some(_) => LinkState::Up,
            },
            since_s: link.as_ref().map(|link| link.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()),
            queued_bytes: link.as_ref().map_or(0, |link| link.queue.outbox().bytes()),
            dropped_reports: dropped + link.as_ref().map_or(0, |link| link.queue.outbox().dropped()),
            round_trip_ms: clock_offset.map(ClockOffset::round_trip_ms),
            clock_ahead_ms: clock_offset.map(ClockOffset::ahead_ms),
            last_error: lock(&self.last_error).clone(),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use herd_replication::{ReportBatch, WireReport};

    use super::*;

    fn install(peer: &Peer, epoch: u64, dialed: bool, preferred: bool) -> Option<Arc<Link>> {
        let link = || Link::new("Jaquez", epoch, dialed, LinkQueue::new(1 << 20), CancellationToken::new());
        peer.install(epoch, dialed, preferred, link)
    }

    #[test]
    fn of_two_links_dialed_at_once_the_preferred_one_stays_in_whatever_order_they_come() {
        let (first, second) = (Peer::default(), Peer::default());
        let kept = install(&first, 1, true, true).unwrap();
        assert!(install(&first, 1, false, false).is_none());
        assert!(Arc::ptr_eq(&first.link().unwrap(), &kept));
        let replaced = install(&second, 1, false, false).unwrap();
        let kept = install(&second, 1, true, true).unwrap();
        assert!(replaced.ending.is_cancelled() && Arc::ptr_eq(&second.link().unwrap(), &kept));
    }

    #[test]
    fn a_peer_that_was_started_anew_replaces_the_link_of_its_earlier_life() {
        let peer = Peer::default();
        let old = install(&peer, 1, true, true).unwrap();
        assert!(install(&peer, 2, false, false).is_some());
        assert!(old.ending.is_cancelled());
    }

    #[test]
    fn what_a_link_had_not_sent_goes_to_the_one_that_replaced_it() {
        let peer = Peer::default();
        let mut reports = ReportBatch::default();
        reports.add(&WireReport { key: b"k", reign: 0, rank: b"", form: 0, record: b"", origin: "Riley" });
        let report = reports.bytes();
        let old = install(&peer, 1, false, false).unwrap();
        assert!(old.queue.push(report));
        let new = install(&peer, 1, true, true).unwrap();
        assert!(!peer.remove(&old, None), "another one is in its place");
        assert_eq!(new.queue.outbox().take(), reports);
        assert!(!old.queue.push(report), "a link that has ended takes nothing more");
        assert!(peer.remove(&new, None));
        assert_eq!(peer.status("Jaquez").dropped_reports, 0);
    }
}
