//! Live links of a node: the outbox of each, and what its peer has acknowledged.
//!
//! Owns the snapshot of live links, which keeps read without a lock. Knows nothing of sockets: a link is told of new reports through
//! [`WakeLink`]. Bounds: one outbox per link, whose bytes [`Outbox`] bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use crate::arrivals::Source;
use crate::outbox::{Outbox, Push};
use crate::stamp::Stamp;
use crate::sync::{ArcSwap, Guard, Mutex};
use crate::vector::Vector;

/// Port to the task of a link: reports were queued for it. Must not wait.
pub trait WakeLink: Send + Sync {
    /// Reports wait.
    fn reports_queued(&self);

    /// Enough reports wait for a frame.
    fn frame_filled(&self);
}

/// A live link, as the node's keeps see it.
pub struct LinkPort {
    pub(crate) peer: Arc<str>,
    pub(crate) outbox: Outbox,
    wake: Box<dyn WakeLink>,
    /// Coverage of the peer, as durable as its configuration asks.
    pub(crate) acked: Mutex<Vector>,
    pub(crate) counts: LinkCounts,
    /// Number of the peer among the sources of arrivals.
    source: AtomicU16,
    /// The port is that of a change feed: it acknowledges nothing, and nobody repairs what it was not told.
    is_feed: bool,
}

/// Counters of a link since it came up.
#[derive(Debug, Default)]
pub(crate) struct LinkCounts {
    pub(crate) reports_sent: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    /// Resends: one when the link came up, and one for each time that its outbox overflowed.
    pub(crate) resends: AtomicU64,
    /// Shards of which a resend read every record, because the recent stamps did not suffice.
    pub(crate) shards_scanned: AtomicU64,
    /// Keeps by which the vector of this node was beyond that of the peer at the last turn.
    pub(crate) lag: AtomicU64,
    /// A resend is due or under way.
    pub(crate) owes: AtomicBool,
    /// The peer's vector is here.
    pub(crate) greeted: AtomicBool,
    /// Time of the last proof that both nodes hold equal records, in seconds since the Unix epoch; 0 for none.
    pub(crate) proved_at_s: AtomicU64,
    /// Time that the link was last told, in the same unit.
    pub(crate) now_s: AtomicU64,
    /// Proofs that both nodes hold equal records.
    pub(crate) proofs: AtomicU64,
    /// Buckets that were found unequal and mended.
    pub(crate) repairs: AtomicU64,
    /// Bytes of frames of proofs that were sent.
    pub(crate) proof_bytes: AtomicU64,
}

/// Live links of a node.
#[derive(Default)]
pub(crate) struct LiveLinks(ArcSwap<Vec<Arc<LinkPort>>>, Mutex<()>);

/// Links to which a report was pushed, to be woken once no lock is held.
pub(crate) struct Pushed {
    live: Guard<Arc<Vec<Arc<LinkPort>>>>,
    /// Bit per link, by its place in `live`.
    queued: u64,
    filled: u64,
}

impl LinkPort {
    /// Creates the port of a link to a peer, whose outbox holds `bytes_max` bytes in a lane per worker.
    #[must_use]
    pub fn new(peer: &str, bytes_max: usize, workers: usize, wake: impl WakeLink + 'static) -> Arc<Self> {
        Arc::new(Self::of_link(peer, bytes_max, workers, wake))
    }

    /// Creates the port of a change feed.
    pub(crate) fn of_feed(bytes_max: usize, workers: usize, wake: impl WakeLink + 'static) -> Arc<Self> {
        Arc::new(Self { is_feed: true, ..Self::of_link("", bytes_max, workers, wake) })
    }

    fn of_link(peer: &str, bytes_max: usize, workers: usize, wake: impl WakeLink + 'static) -> Self {
        let outbox = Outbox::new(bytes_max, workers);
        let counts = LinkCounts::default();
        counts.owes.store(true, Ordering::Relaxed);
        let source = AtomicU16::new(Source::SOME_PEER.0);
        Self {
            peer: peer.into(),
            outbox,
            wake: Box::new(wake),
            acked: Mutex::default(),
            counts,
            source,
            is_feed: false,
        }
    }

    /// Returns whether the port is that of a change feed.
    pub(crate) fn is_feed(&self) -> bool {
        self.is_feed
    }

    /// Name of the peer.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Returns the number of the peer among the sources of arrivals.
    pub(crate) fn source(&self) -> Source {
        Source(self.source.load(Ordering::Relaxed))
    }

    /// Sets that number, before the link is up.
    pub(crate) fn set_source(&self, source: Source) {
        self.source.store(source.0, Ordering::Relaxed);
    }

    /// Wakes the task of the link.
    pub(crate) fn wake(&self) {
        self.wake.reports_queued();
    }

    /// Returns whether reports wait, also those that need no wake-up.
    pub(crate) fn has_waiting(&self) -> bool {
        self.outbox.bytes() > 0 || self.outbox.is_behind()
    }
}

impl LiveLinks {
    /// Adds a link. From now on every keep is pushed to it.
    pub(crate) fn add(&self, port: &Arc<LinkPort>) {
        self.change(|live| live.push(Arc::clone(port)));
    }

    /// Removes a link.
    pub(crate) fn remove(&self, port: &Arc<LinkPort>) {
        self.change(|live| live.retain(|other| !Arc::ptr_eq(other, port)));
    }

    /// Returns whether there is no live link. Inside the critical section of a shard the answer holds for its record, as in
    /// [`push`](Self::push).
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }

    /// Returns the live links.
    pub(crate) fn all(&self) -> Vec<Arc<LinkPort>> {
        self.0.load().iter().map(Arc::clone).collect()
    }

    /// Pushes an item to every link but `except`, on the lane of `worker`.
    ///
    /// Called inside the critical section of a shard, so that a link that is added later finds the record in the table. The caller
    /// [`wakes`](Pushed::wake) the links once no lock is held.
    #[inline]
    pub(crate) fn push(&self, worker: usize, item: &[u8], except: Option<&LinkPort>) -> Pushed {
        let live = self.0.load();
        let (mut queued, mut filled) = (0, 0);
        for (index, link) in live.iter().enumerate() {
            if except.is_some_and(|except| std::ptr::eq(except, &raw const **link)) {
                continue;
            }
            let bit = 1_u64.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
            match link.outbox.push(worker, item) {
                Push::FrameFilled => filled |= bit,
                Push::Queued => queued |= bit,
            }
            if bit == 0 {
                // More links than bits. Waking inside the critical section is slower, and right.
                link.wake.reports_queued();
            }
        }
        Pushed { live, queued, filled }
    }

    /// Returns the number of peers that have acknowledged a stamp.
    pub(crate) fn acknowledged(&self, stamp: Stamp) -> usize {
        let live = self.0.load();
        let has = |link: &LinkPort| link.acked.lock().covers(stamp);
        // A link that replaces one of the same peer is live beside it for a moment: the two are one peer.
        let is_first = |index: usize| live[..index].iter().all(|other| other.peer != live[index].peer || !has(other));
        live.iter().enumerate().filter(|(index, link)| has(link) && is_first(*index)).count()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<LinkPort>>)) {
        // One change at a time, or one of two would be lost.
        let _changing = self.1.lock();
        let mut live = Vec::clone(&self.0.load());
        change(&mut live);
        self.0.store(Arc::new(live));
    }
}

impl Pushed {
    /// Wakes the links. With `only`, names that each end with a newline, those links and the change feeds alone; the others send the report in
    /// their next turn, whatever begins it.
    #[inline]
    pub(crate) fn wake(self, only: Option<&[u8]>) {
        for (index, link) in self.live.iter().enumerate().take(64) {
            let bit = 1_u64 << index;
            let named = |only: &[u8]| only.split(|&byte| byte == b'\n').any(|name| name == link.peer.as_bytes());
            if (self.queued | self.filled) & bit == 0 || only.is_some_and(|only| !link.is_feed && !named(only)) {
                continue;
            }
            if self.filled & bit != 0 {
                link.wake.frame_filled();
            }
            link.wake.reports_queued();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::LaneId;
    use crate::wire_report::{Head, WireReport};

    /// Calls of a link's task: of reports that wait, and of a frame that is filled.
    #[derive(Clone, Default)]
    struct Calls(Arc<(AtomicU64, AtomicU64)>);

    impl WakeLink for Calls {
        fn reports_queued(&self) {
            self.0.0.fetch_add(1, Ordering::Relaxed);
        }

        fn frame_filled(&self) {
            self.0.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Calls {
        fn take(&self) -> (u64, u64) {
            (self.0.0.swap(0, Ordering::Relaxed), self.0.1.swap(0, Ordering::Relaxed))
        }
    }

    fn live(peers: &[&str]) -> (LiveLinks, Vec<(Arc<LinkPort>, Calls)>) {
        let (live, mut links) = (LiveLinks::default(), Vec::new());
        for peer in peers {
            let calls = Calls::default();
            let port = LinkPort::new(peer, 1 << 20, 1, calls.clone());
            live.add(&port);
            links.push((port, calls));
        }
        (live, links)
    }

    fn report(record: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let head = Head::of(Stamp { lane: LaneId(0), seq: 1 });
        WireReport { head, key: b"k", reign: 0, rank: b"", form: 0, record, extension: b"" }.encode(&mut bytes);
        bytes
    }

    #[test]
    fn push_wakes_every_link_but_the_one_that_a_report_came_from() {
        let (live, links) = live(&["Riley", "Jaquez", "Juzang"]);
        let calls = || links.iter().map(|(_, calls)| calls.take()).collect::<Vec<_>>();
        for pushed in 1..=17 {
            live.push(0, b"item", Some(&*links[1].0)).wake(None);
            let filled = u64::from(pushed == 16);
            assert_eq!(calls(), [(1, filled), (0, 0), (1, filled)], "push {pushed}");
        }
        live.push(0, b"item", None).wake(Some(b"Jaquez\nJuz\nRiley"));
        assert_eq!(calls(), [(1, 0), (1, 0), (0, 0)]);
        assert!(links.iter().all(|(port, _)| port.has_waiting()));
        drop(live.push(0, b"item", None));
        assert_eq!(calls(), [(0, 0); 3]);
    }

    #[test]
    fn push_wakes_more_links_than_it_has_bits() {
        let peers = vec!["Riley"; 70];
        let (live, links) = live(&peers);
        live.push(0, b"item", None).wake(None);
        assert!(links.iter().all(|(_, calls)| calls.take() == (1, 0)));
    }

    #[test]
    fn link_has_waiting_reports_until_they_are_taken_and_sent_again() {
        let (live, links) = live(&["Riley"]);
        let port = &links[0].0;
        assert!(!port.has_waiting());
        drop(live.push(0, b"item", None));
        assert!(port.has_waiting());
        port.outbox.take();
        assert!(!port.has_waiting());
        drop(live.push(0, &report(&vec![0; 1 << 20]), None));
        assert_eq!(port.outbox.bytes(), 0);
        assert!(port.has_waiting(), "what was dropped has to be sent again");
    }

    #[test]
    fn acknowledgements_are_counted_by_peer() {
        let (live, links) = live(&["Riley", "Jaquez", "Riley"]);
        let stamp = Stamp { lane: LaneId(0), seq: 5 };
        let acknowledge = |link: usize, seq| assert!(links[link].0.acked.lock().advance(LaneId(0), seq));
        assert_eq!(live.acknowledged(stamp), 0);
        acknowledge(0, 4);
        assert_eq!(live.acknowledged(stamp), 0);
        acknowledge(2, 5);
        assert_eq!(live.acknowledged(stamp), 1, "one of the two links of a peer suffices");
        acknowledge(0, 5);
        assert_eq!(live.acknowledged(stamp), 1);
        acknowledge(1, 9);
        assert_eq!(live.acknowledged(stamp), 2);
    }

    #[test]
    fn live_links_come_and_go() {
        let (live, links) = live(&["Riley"]);
        assert!(!live.is_empty() && LiveLinks::default().is_empty());
        links[0].0.wake();
        assert_eq!(links[0].1.take(), (1, 0));
        live.remove(&links[0].0);
        assert!(live.is_empty());
    }
}
