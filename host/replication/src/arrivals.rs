//! Arrivals: the last reports that reached this node, each by its stamp, with the time, the way, and the outcome.
//!
//! Every worker writes a ring of its own without a lock: an arrival is a few plain stores to memory that no other worker writes. Threads
//! that are no workers share one small ring behind a lock. Readers copy the rings and leave out what was overwritten meanwhile.
//!
//! Knows no clock, no key and no record: a report is found by its stamp, which the table has under its key. Bounds: arrivals per ring,
//! arrivals that a look-up returns ([`FOUND_MAX`]), names of peers.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use herd_model::GenerationId;

use crate::stamp::{LaneId, Stamp};
use crate::sync::{Mutex, RwLock};

/// Last arrivals of a node. See [`Replica::arrivals`](crate::Replica::arrivals).
pub struct Arrivals {
    /// One per worker, and one for all other threads. Empty if no arrival is noted.
    rings: Box<[Ring]>,
    /// Held by threads that are no workers while they write.
    others: Mutex<()>,
    /// Names of peers, by number.
    peers: RwLock<Vec<Arc<str>>>,
}

/// Arrival of a report at this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Time, in nanoseconds since the Unix epoch by the clock of this node. For a report of a client, that of its decision; for one of a
    /// peer, that at which it was decided or dropped.
    pub at_ns: u64,
    /// Way on which it came.
    pub way: Way,
    /// Generation that decided it; `None` if no guest was asked.
    pub generation: Option<GenerationId>,
    /// Outcome.
    pub outcome: ArrivalOutcome,
}

/// Way on which a report came to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a client, whose address is known unless the configuration forbids it.
    Client(Option<SocketAddr>),
    /// From an operator, who forgot the key.
    Operator,
    /// From quarantine: another generation took it.
    Quarantine,
    /// From this peer.
    Peer(Arc<str>),
}

/// Outcome of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrivalOutcome {
    /// It won, is kept, and was flooded.
    Applied,
    /// The node had it, or one that ranks higher. It was dropped.
    Known,
    /// A guest refused it, or every live generation faulted on it.
    Quarantined,
    /// Another report of a client, which lost to this one.
    Outranked,
}

/// Arrival as it is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) stamp: Stamp,
    pub(crate) at_ns: u64,
    pub(crate) source: Source,
    pub(crate) generation: Option<GenerationId>,
    pub(crate) outcome: ArrivalOutcome,
    pub(crate) client: Option<SocketAddr>,
}

/// Number for the way on which a report came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source(pub(crate) u16);

/// Ring of one thread, on cache lines that it shares with no other: processors fetch them in pairs.
#[repr(align(128))]
struct Ring {
    slots: Box<[Slot]>,
    /// Slot of the next arrival. Read by the writer alone.
    next: AtomicUsize,
    /// Arrivals whose writing has begun.
    begun: AtomicU64,
    /// Arrivals that are written.
    complete: AtomicU64,
}

/// Arrival in six words: time; sequence number and source; lane and generation; address in two; port, outcome, and whether there is one.
struct Slot([AtomicU64; WORDS]);

impl Arrivals {
    /// Creates the rings of this many workers, for about `arrivals` arrivals together; none for 0.
    pub(crate) fn new(workers: usize, arrivals: usize) -> Self {
        let others = (arrivals / 16).clamp(1, OTHERS_MAX);
        let each = (arrivals.saturating_sub(others) / workers.max(1)).max(1);
        let lengths = std::iter::repeat_n(each, workers.max(1)).chain([others]);
        let rings = lengths.filter(|_| arrivals > 0).map(Ring::new).collect();
        Self { rings, others: Mutex::new(()), peers: RwLock::default() }
    }

    /// Returns whether arrivals are noted.
    #[inline]
    #[must_use]
    pub fn are_noted(&self) -> bool {
        !self.rings.is_empty()
    }

    /// Returns the number of arrivals that fit in.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.rings.iter().map(|ring| ring.slots.len()).sum()
    }

    /// Notes a report that a client sent, on the thread of a worker: the one of this stamp if it was kept, or one that lost to it.
    /// `at_ns` is the time of the decision, since the Unix epoch.
    #[inline]
    pub fn note_client(
        &self,
        worker: usize,
        stamp: Stamp,
        outcome: ArrivalOutcome,
        generation: GenerationId,
        client: Option<SocketAddr>,
        at_ns: u64,
    ) {
        let generation = Some(generation);
        self.note(worker, Noted { stamp, at_ns, source: Source::CLIENT, generation, outcome, client });
    }

    /// Notes that an operator forgot a key, on a thread that is no worker, with the stamp and the time of that.
    pub fn note_operator(&self, stamp: Stamp, at_ns: u64) {
        let (source, outcome) = (Source::OPERATOR, ArrivalOutcome::Applied);
        self.note(usize::MAX, Noted { stamp, at_ns, source, generation: None, outcome, client: None });
    }

    /// Notes an arrival. A worker passes its number, every other thread a number behind the last one.
    #[inline]
    pub(crate) fn note(&self, worker: usize, noted: Noted) {
        let Some((others, workers)) = self.rings.split_last() else { return };
        match workers.get(worker) {
            Some(own) => own.push(&noted.words()),
            None => {
                let _one_at_a_time = self.others.lock();
                others.push(&noted.words());
            }
        }
    }

    /// Returns the arrivals of the report of this stamp, the earliest first, at most `FOUND_MAX` of them. Reads all rings, which takes
    /// a fraction of a millisecond: not for a worker thread.
    #[must_use]
    pub fn find(&self, stamp: Stamp) -> Vec<Arrival> {
        let mut found = Vec::new();
        for ring in &self.rings {
            ring.read(|words| {
                let noted = Noted::of(words);
                if noted.stamp == stamp {
                    found.push(noted);
                }
            });
        }
        // A stable sort: what one thread noted within one tick of the clock stays in order.
        found.sort_by_key(|noted| noted.at_ns);
        found.truncate(FOUND_MAX);
        let peers = self.peers.read();
        found.into_iter().map(|noted| noted.arrival(&peers)).collect()
    }

    /// Returns the time since which no arrival was overwritten, since the Unix epoch; `None` if none ever was.
    #[must_use]
    pub fn complete_since_ns(&self) -> Option<u64> {
        self.rings.iter().filter_map(Ring::complete_since_ns).max()
    }

    /// Returns the number of a peer. Peers are nodes of the configuration; beyond some ten thousand they share one.
    pub(crate) fn source_of(&self, peer: &str) -> Source {
        let mut peers = self.peers.write();
        let number = peers.iter().position(|known| **known == *peer).unwrap_or(peers.len());
        match u16::try_from(number).ok().and_then(|number| number.checked_add(Source::FIRST_PEER.0)) {
            Some(source) if source < Source::SOME_PEER.0 => {
                if number == peers.len() {
                    peers.push(peer.into());
                }
                Source(source)
            }
            _ => Source::SOME_PEER,
        }
    }
}

impl Source {
    const CLIENT: Self = Self(0);
    const OPERATOR: Self = Self(1);
    pub(crate) const QUARANTINE: Self = Self(2);
    const FIRST_PEER: Self = Self(3);
    pub(crate) const SOME_PEER: Self = Self(u16::MAX);
}

impl Noted {
    #[inline]
    fn words(&self) -> [u64; WORDS] {
        let Self { stamp, at_ns, source, generation, outcome, client } = *self;
        // Zero is the number of no generation.
        let generation = generation.map_or(0, |generation| generation.0) & u64::from(u32::MAX);
        let (address, port) = client.map_or((0, 0), |client| {
            let v6 = match client.ip() {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            (u128::from(v6), client.port())
        });
        let outcome = match outcome {
            ArrivalOutcome::Applied => 0,
            ArrivalOutcome::Known => 1,
            ArrivalOutcome::Quarantined => 2,
            ArrivalOutcome::Outranked => 3,
        };
        [
            at_ns,
            (stamp.seq << 16) | u64::from(source.0),
            (u64::from(stamp.lane.0) << 32) | generation,
            (address >> 64) as u64,
            address as u64,
            (u64::from(port) << 16) | (outcome << 8) | u64::from(client.is_some()),
        ]
    }

    fn of([at_ns, seq_source, lane_generation, high, low, rest]: [u64; WORDS]) -> Self {
        let stamp = Stamp { lane: LaneId((lane_generation >> 32) as u32), seq: seq_source >> 16 };
        let generation = Some(lane_generation & u64::from(u32::MAX)).filter(|&number| number > 0).map(GenerationId);
        let outcome = match (rest >> 8) & 0xff {
            0 => ArrivalOutcome::Applied,
            1 => ArrivalOutcome::Known,
            2 => ArrivalOutcome::Quarantined,
            _ => ArrivalOutcome::Outranked,
        };
        let client = (rest & 1 == 1).then(|| {
            let v6 = Ipv6Addr::from((u128::from(high) << 64) | u128::from(low));
            SocketAddr::new(v6.to_canonical(), ((rest >> 16) & 0xffff) as u16)
        });
        Self { stamp, at_ns, source: Source(seq_source as u16), generation, outcome, client }
    }

    fn arrival(self, peers: &[Arc<str>]) -> Arrival {
        let Self { at_ns, source, generation, outcome, client, .. } = self;
        let way = match source {
            Source::CLIENT => Way::Client(client),
            Source::OPERATOR => Way::Operator,
            Source::QUARANTINE => Way::Quarantine,
            Source(number) => {
                let peer = peers.get(usize::from(number - Source::FIRST_PEER.0));
                Way::Peer(peer.map_or_else(|| "".into(), Arc::clone))
            }
        };
        Arrival { at_ns, way, generation, outcome }
    }
}

impl Ring {
    fn new(length: usize) -> Self {
        // Written from the start, so that the system does not have to find memory while a client waits.
        let slots = (0..length).map(|_| Slot(Default::default())).collect();
        Self { slots, next: AtomicUsize::new(0), begun: AtomicU64::new(0), complete: AtomicU64::new(0) }
    }

    /// Writes an arrival. One thread at a time.
    #[inline]
    fn push(&self, words: &[u64; WORDS]) {
        let (number, place) = (self.complete.load(Ordering::Relaxed), self.next.load(Ordering::Relaxed));
        // As in a sequence lock: who sees a word of this arrival also sees that it has begun, and who sees that it is complete
        // sees all of its words.
        self.begun.store(number + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (slot, word) in self.slots[place].0.iter().zip(words) {
            slot.store(*word, Ordering::Relaxed);
        }
        self.next.store(if place + 1 == self.slots.len() { 0 } else { place + 1 }, Ordering::Relaxed);
        self.complete.store(number + 1, Ordering::Release);
    }

    /// Calls `each` with the arrivals, the oldest first, but for those that are overwritten meanwhile.
    fn read(&self, mut each: impl FnMut([u64; WORDS])) {
        let length = self.slots.len() as u64;
        let complete = self.complete.load(Ordering::Acquire);
        for number in complete.saturating_sub(length)..complete {
            let slot = &self.slots[(number % length) as usize];
            let words = slot.0.each_ref().map(|word| word.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            let is_overwritten = self.begun.load(Ordering::Relaxed) > number + length;
            if !is_overwritten {
                each(words);
            }
        }
    }

    fn complete_since_ns(&self) -> Option<u64> {
        if self.complete.load(Ordering::Acquire) <= self.slots.len() as u64 {
            return None;
        }
        let mut oldest: Option<u64> = None;
        self.read(|[at_ns, ..]| oldest = oldest.or(Some(at_ns)));
        oldest
    }
}

/// Words of an arrival.
const WORDS: usize = 6;
/// Arrivals of threads that are no workers: those of operators, and reports that leave quarantine. Few, and never many at once.
const OTHERS_MAX: usize = 256;
/// Arrivals that a look-up returns. A report comes once over each link, and again when a link comes up anew.
const FOUND_MAX: usize = 256;

#[cfg(test)]
mod tests;
