//! Peer: another node, and the link to it while there is one.
//!
//! Owns the replacement of one link by another. Knows nothing of sockets and of other peers. Bounds: one link.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use herd_replication::LinkReplication;
use parking_lot::Mutex;

use super::clock_offset::ClockOffset;
use super::failure_detector::FailureDetector;
use super::link::{Direction, Link};
use super::status::{LinkState, LinkStatus};

/// Another node, connected or not.
#[derive(Default)]
pub(super) struct Peer {
    link: Mutex<Option<Arc<Link>>>,
    pub(super) detector: Arc<FailureDetector>,
    /// Why there is no link, or why the last one ended.
    last_error: Mutex<Option<String>>,
    /// A link was up since the node started.
    was_linked: AtomicBool,
    /// Time that the last link was up which left none in its place.
    lasted: Mutex<Duration>,
}

/// Link that was admitted.
pub(super) struct Installed {
    pub(super) link: Arc<Link>,
    /// Link that it replaces, whose task ends soon.
    pub(super) replaced: Option<Arc<Link>>,
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

    /// Returns whether a connection that this node opens may become the link: there is none, a suspect one, or one whose
    /// certificate is no longer good.
    pub(super) fn wants_connection(&self, preferred: Direction) -> bool {
        self.link().is_none_or(|link| link.wants_another() && link.gives_way_to_outbound(preferred))
    }

    /// Returns how long the last link was up that left none in its place.
    pub(super) fn lasted(&self) -> Duration {
        *self.lasted.lock()
    }

    /// Returns whether a link was up since the node started.
    pub(super) fn was_linked(&self) -> bool {
        self.was_linked.load(Ordering::Relaxed)
    }

    /// Installs a new link and ends the one that it replaces. Returns `None` if that one stays ([`Link::must_stay`]);
    /// then nothing changed and `link` was not called.
    pub(super) fn install(
        &self,
        epoch: u64,
        direction: Direction,
        preferred: Direction,
        link: impl FnOnce() -> Link,
    ) -> Option<Installed> {
        let mut current = self.link.lock();
        if let Some(old) = current.as_ref().filter(|old| old.must_stay(epoch, direction, preferred)) {
            if old.is_of_another_process(epoch) {
                // If it does not answer it ends, and the newcomer, which connects again, is admitted.
                old.queue.probe();
            }
            return None;
        }
        let link = Arc::new(link());
        let replaced = current.replace(Arc::clone(&link));
        if let Some(old) = &replaced {
            // Its task says goodbye in a moment, and then calls `remove`.
            old.replaced.cancel();
        }
        drop(current);
        self.was_linked.store(true, Ordering::Relaxed);
        self.set_last_error(None);
        Some(Installed { link, replaced })
    }

    /// Removes a link that has ended, and returns whether it was the current one, that is, not replaced.
    ///
    /// Reports that it had not sent need no care: the next link sends what the peer's vector does not cover.
    pub(super) fn remove(&self, link: &Arc<Link>, error: Option<String>) -> bool {
        let mut current = self.link.lock();
        // By pointer: a link that was replaced ends after its successor came up, and must not remove it.
        let was_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link));
        if was_current {
            *current = None;
            *self.lasted.lock() = link.began.elapsed();
        }
        drop(current);
        if was_current {
            self.set_last_error(error);
        }
        was_current
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
        let replication = link.as_ref().map(|link| LinkReplication::of(&link.port));
        LinkStatus {
            peer: name.into(),
            state: match &link {
                None => LinkState::Down,
                Some(link) if link.is_suspect() => LinkState::Silent,
                Some(_) if replication.as_ref().is_some_and(|link| link.owes) => LinkState::Behind,
                Some(_) => LinkState::Up,
            },
            since_s: link.as_ref().map(|link| link.since_s),
            replication,
            round_trip_ms: clock_offset.map(ClockOffset::round_trip_ms),
            clock_ahead_ms: clock_offset.map(ClockOffset::ahead_ms),
            last_error: self.last_error.lock().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::Direction::{Inbound, Outbound};
    use super::*;

    fn install(peer: &Peer, epoch: u64, direction: Direction) -> Option<Arc<Link>> {
        let detector = Arc::clone(&peer.detector);
        let link = || Link::new("Jaquez", (epoch, 1), direction, 1 << 20, CancellationToken::new(), detector);
        peer.install(epoch, direction, Outbound, link).map(|installed| installed.link)
    }

    #[test]
    fn simultaneous_links_leave_the_preferred_one_in_any_order_of_arrival() {
        let (first, second) = (Peer::default(), Peer::default());
        let kept = install(&first, 1, Outbound).unwrap();
        assert!(install(&first, 1, Inbound).is_none());
        assert!(Arc::ptr_eq(&first.link().unwrap(), &kept));
        let replaced = install(&second, 1, Inbound).unwrap();
        let kept = install(&second, 1, Outbound).unwrap();
        assert!(replaced.replaced.is_cancelled() && Arc::ptr_eq(&second.link().unwrap(), &kept));
    }

    #[tokio::test]
    async fn process_of_the_same_name_is_refused_while_the_linked_one_answers() {
        let peer = Peer::default();
        let old = install(&peer, 1, Outbound).unwrap();
        let probed = old.queue.probed();
        let mut probed = std::pin::pin!(probed);
        assert!(futures_util::poll!(&mut probed).is_pending());
        assert!(install(&peer, 2, Inbound).is_none());
        assert!(futures_util::poll!(&mut probed).is_ready(), "the link finds out whether its process is still there");
        assert!(!old.replaced.is_cancelled());
        assert!(peer.remove(&old, None));
        assert!(install(&peer, 2, Inbound).is_some(), "it was gone");
    }

    #[test]
    fn process_of_the_same_name_takes_the_place_of_one_that_is_silent() {
        let peer = Peer::default();
        let old = install(&peer, 1, Outbound).unwrap();
        old.set_suspect(true);
        assert!(install(&peer, 2, Inbound).is_some());
        assert!(old.replaced.is_cancelled());
    }

    #[test]
    fn suspect_link_is_dialed_beside_only_if_the_new_connection_could_replace_it() {
        for (direction, preferred, expected) in [
            (Outbound, Outbound, true),
            (Outbound, Inbound, true),
            (Inbound, Outbound, true),
            (Inbound, Inbound, false),
        ] {
            let peer = Peer::default();
            assert!(peer.wants_connection(preferred), "without a link");
            let link = install(&peer, 1, direction).unwrap();
            assert!(!peer.wants_connection(preferred), "the peer is there");
            link.set_suspect(true);
            assert_eq!(peer.wants_connection(preferred), expected, "{direction:?} {preferred:?}");
            link.set_suspect(false);
            assert!(!peer.wants_connection(preferred), "it has spoken");
            link.set_outdated();
            assert_eq!(peer.wants_connection(preferred), expected, "outdated, {direction:?} {preferred:?}");
        }
    }

    #[test]
    fn replaced_link_does_not_remove_its_successor() {
        let peer = Peer::default();
        let old = install(&peer, 1, Inbound).unwrap();
        let new = install(&peer, 1, Outbound).unwrap();
        assert!(!peer.remove(&old, None), "its successor is current");
        assert!(Arc::ptr_eq(&peer.link().unwrap(), &new));
        assert!(peer.remove(&new, None));
    }
}
