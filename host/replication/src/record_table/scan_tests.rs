//! Tests of scans: a shard that changes between two runs, against a plain map.

use std::collections::BTreeMap;

use herd_model::{Kept, Reign};
use proptest::prelude::*;

use super::*;
use crate::shard::OfferedBy;
use crate::table_scan::TableScan;

/// Step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Put { key: usize, rank: u8, lane: u32 },
    Quarantine { key: usize, rank: u8, lane: u32 },
    Release { key: usize },
    Remove { key: usize },
    Run { cost_max: usize },
}

/// State of a key: readable record and quarantined report above it, as rank and stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    readable: Option<(u8, Stamp)>,
    quarantined: Option<(u8, Stamp)>,
}

/// Shard and map, after the same steps, and a scan under way.
struct Model {
    table: RecordTable,
    /// All in one shard.
    keys: Vec<Vec<u8>>,
    map: BTreeMap<usize, Held>,
    seq: u64,
    /// Vector of the peer for which the scan is a resend; `None` for a scan of everything.
    peer: Option<Vector>,
    position: ShardPosition,
    /// State of all keys when the scan began. A key that was removed since is not here.
    begun_with: BTreeMap<usize, Held>,
    /// Highest rank that was kept under a key since then in a keep that the peer covers, also if another one replaced it.
    covered: BTreeMap<usize, u8>,
    changed: bool,
    /// Ranks that the scan visited by key, readable and quarantined.
    readable: BTreeMap<usize, Vec<u8>>,
    quarantined: BTreeMap<usize, Vec<u8>>,
}

impl Model {
    fn new(peer: Option<Vector>) -> Self {
        let table = RecordTable::new(RecordLimits::default(), 7, 9);
        let keys = (0..).map(|number: u64| format!("kiwi-{number}").into_bytes());
        let keys = keys.filter(|key| shard_of(table.hash(key)) == SHARD).take(KEYS).collect();
        Self {
            table,
            keys,
            map: BTreeMap::new(),
            seq: 0,
            peer,
            position: ShardPosition::default(),
            begun_with: BTreeMap::new(),
            covered: BTreeMap::new(),
            changed: false,
            readable: BTreeMap::new(),
            quarantined: BTreeMap::new(),
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Put { key, rank, lane } => self.put(key, rank, lane),
            Step::Quarantine { key, rank, lane } => self.quarantine(key, rank, lane),
            Step::Release { key } => self.release(key),
            Step::Remove { key } => self.remove(key),
            Step::Run { cost_max } => self.run(cost_max),
        }
        self.changed |= !matches!(step, Step::Run { .. });
    }

    fn stamp(&mut self, lane: u32) -> Stamp {
        self.seq += 1;
        Stamp { lane: LaneId(lane), seq: self.seq }
    }

    fn put(&mut self, key: usize, rank: u8, lane: u32) {
        let stamp = self.stamp(lane);
        let kept = self.offer(key, rank, stamp, OfferedBy::Peer);
        let held = self.map.entry(key).or_default();
        let highest = held.quarantined.or(held.readable).map(|(rank, _)| rank);
        let wins = if held.quarantined.is_some() && Some(rank) < highest {
            held.readable.is_none_or(|(readable, _)| rank > readable)
        } else {
            highest.is_none_or(|highest| rank > highest)
        };
        assert_eq!(matches!(kept, Kept::Applied(_)), wins);
        if wins {
            note_covered(&mut self.covered, self.peer.as_ref(), key, (rank, stamp));
            held.readable = Some((rank, stamp));
            held.quarantined = held.quarantined.filter(|(quarantined, _)| *quarantined > rank);
        }
    }

    fn quarantine(&mut self, key: usize, rank: u8, lane: u32) {
        let stamp = self.stamp(lane);
        let report = WireReport {
            head: Head::of(stamp),
            key: &self.keys[key],
            reign: 0,
            rank: &[rank],
            form: 1,
            record: b"record",
            extension: b"",
        };
        let kept = self.table.quarantine(Quarantined::from(&report), |_| ()).kept;
        let held = self.map.entry(key).or_default();
        let wins = held.quarantined.or(held.readable).is_none_or(|(highest, _)| rank > highest);
        assert_eq!(matches!(kept, Kept::Applied(_)), wins);
        if wins {
            note_covered(&mut self.covered, self.peer.as_ref(), key, (rank, stamp));
            held.quarantined = Some((rank, stamp));
        }
    }

    fn release(&mut self, key: usize) {
        if let Some(held) = self.map.get_mut(&key)
            && let Some((rank, stamp)) = held.quarantined.take()
        {
            note_covered(&mut self.covered, self.peer.as_ref(), key, (rank, stamp));
            held.readable = Some((rank, stamp));
            assert_eq!(self.offer(key, rank, stamp, OfferedBy::Release), Kept::Applied(Reign(0)));
        }
    }

    fn remove(&mut self, key: usize) {
        let removed = self.table.remove(SHARD, |report, _| report.key == self.keys[key]);
        let held = self.map.remove(&key).unwrap_or_default();
        assert_eq!(removed, [held.readable, held.quarantined].into_iter().flatten().count());
        self.begun_with.remove(&key);
    }

    fn offer(&self, key: usize, rank: u8, stamp: Stamp, by: OfferedBy) -> Kept {
        let rank = Rank { reign: Reign(0), rank: &[rank], record: b"record", form: 1 };
        self.table.offer(Offer { key: &self.keys[key], rank, head: Head::of(stamp), by }, |_| ()).kept
    }

    fn run(&mut self, cost_max: usize) {
        let Self { table, keys, map, peer, position, readable, quarantined, .. } = self;
        let number = |key: &[u8]| keys.iter().position(|other| other == key).unwrap();
        let mut visit = |report: WireReport<'_>, is_quarantined: bool| {
            let visited = if is_quarantined { &mut *quarantined } else { &mut *readable };
            visited.entry(number(report.key)).or_default().push(report.rank[0]);
        };
        let run = match peer {
            None => table.scan_run(SHARD, position, cost_max, |scanned| {
                let (report, is_quarantined) = scanned.record();
                visit(report, is_quarantined);
            }),
            Some(peer) => table.scan_run_beyond(SHARD, position, cost_max, peer, |first, second| {
                let held = map[&number(first.key)];
                visit(first, held.quarantined.is_some_and(|(_, stamp)| stamp == first.head.stamp));
                second.into_iter().for_each(|second| visit(second, true));
            }),
        };
        match run.next {
            Some(next) => *position = next,
            None => self.end(),
        }
    }

    /// Checks what the scan visited, and begins the next one.
    fn end(&mut self) {
        let highest =
            |visited: &BTreeMap<usize, Vec<u8>>, key| visited.get(key).and_then(|ranks| ranks.iter().max().copied());
        for (key, begun_with) in &self.begun_with {
            let (readable, quarantined) = (highest(&self.readable, key), highest(&self.quarantined, key));
            let lacks = |held: Option<(u8, Stamp)>| {
                held.filter(|(_, stamp)| self.peer.as_ref().is_none_or(|peer| !peer.covers(*stamp)))
                    .map(|(rank, _)| rank)
            };
            // What replaced it may be covered, and then the peer has it.
            let has_peer = |rank| self.covered.get(key).is_some_and(|covered| *covered >= rank);
            if let Some(rank) = lacks(begun_with.readable) {
                let is_visited = readable >= Some(rank) || has_peer(rank);
                assert!(is_visited, "readable record {rank} of {key} was missed");
            }
            if let Some(rank) = lacks(begun_with.quarantined) {
                let is_visited = readable.max(quarantined) >= Some(rank) || has_peer(rank);
                assert!(is_visited, "quarantined report {rank} of {key} was missed");
            }
        }
        if !self.changed && self.peer.is_none() {
            let ranks = |of: fn(&Held) -> Option<(u8, Stamp)>| {
                let held = self.map.iter().filter_map(|(key, held)| Some((*key, vec![of(held)?.0])));
                held.collect::<BTreeMap<_, _>>()
            };
            assert_eq!(self.readable, ranks(|held| held.readable), "once each");
            assert_eq!(self.quarantined, ranks(|held| held.quarantined), "once each");
        }
        self.begun_with = self.map.clone();
        self.covered.clear();
        (self.readable, self.quarantined) = Default::default();
        (self.position, self.changed) = (ShardPosition::default(), false);
    }
}

fn note_covered(covered: &mut BTreeMap<usize, u8>, peer: Option<&Vector>, key: usize, (rank, stamp): (u8, Stamp)) {
    if peer.is_some_and(|peer| peer.covers(stamp)) {
        let highest = covered.entry(key).or_default();
        *highest = rank.max(*highest);
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..KEYS;
    let ranked = || (0..KEYS, 0..40_u8, 0..2_u32);
    let step = prop_oneof![
        8 => ranked().prop_map(|(key, rank, lane)| Step::Put { key, rank, lane }),
        4 => ranked().prop_map(|(key, rank, lane)| Step::Quarantine { key, rank, lane }),
        4 => key().prop_map(|key| Step::Release { key }),
        1 => key().prop_map(|key| Step::Remove { key }),
        6 => (1..40_usize).prop_map(|cost_max| Step::Run { cost_max }),
    ];
    prop::collection::vec(step, 1..1200)
}

fn check(peer: Option<Vector>, steps: &[Step]) {
    let mut model = Model::new(peer);
    steps.iter().for_each(|step| model.apply(step));
    // The scan under way ends well, and so does one of a table at rest.
    for cost_max in [usize::MAX, 3] {
        model.run(cost_max);
        while model.position != ShardPosition::default() {
            model.run(cost_max);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn scan_visits_what_is_there_from_its_first_run_to_its_last(steps in steps()) {
        check(None, &steps);
    }

    /// With a vector that reaches the floor of the ring of recent stamps, or does not, or passes it while the scan is under way.
    #[test]
    fn resend_misses_nothing_that_the_peer_lacks(steps in steps(), seqs in prop::array::uniform2(0..1000_u64)) {
        check(Some([(LaneId(0), seqs[0]), (LaneId(1), seqs[1])].into_iter().collect()), &steps);
    }
}

/// Goal: the earliest expiry is right after records were removed in runs, or expired ones stay for ever. Method: more records than a run
/// takes, of which some expire early, late and never.
#[test]
fn removal_in_runs_leaves_the_records_that_expire_later() {
    let model = Model::new(None);
    let times = [100, 5000, 0, 90_000];
    for (number, key) in model.keys.iter().enumerate() {
        let head = Head { expires_at: times[number % 4], ..Head::of(Stamp { lane: LaneId(0), seq: 1 }) };
        let rank = Rank { reign: Reign(0), rank: b"1", record: b"record", form: 1 };
        let _ = model.table.offer(Offer { key, rank, head, by: OfferedBy::Peer }, |_| ());
    }
    let at = |now_s| {
        model.table.set_now(now_s);
        model.table.remove_expired(SHARD)
    };
    let quarter = KEYS / 4;
    assert_eq!([at(1), at(2000), at(2001), at(50_000), at(200_000), at(1 << 40)], [0, quarter, 0, quarter, quarter, 0]);
    assert_eq!(model.table.keys(), quarter);
}

/// Goal: a shard without expired records needs no lock that workers wait for. Method: the earliest expiry that it names as records come
/// and go.
#[test]
fn shard_names_the_earliest_expiry_of_its_records() {
    let model = Model::new(None);
    let put = |key: usize, rank: &[u8], expires_at| {
        let head = Head { expires_at, ..Head::of(Stamp { lane: LaneId(0), seq: 1 }) };
        let rank = Rank { reign: Reign(0), rank, record: b"record", form: 1 };
        let _ = model.table.offer(Offer { key: &model.keys[key], rank, head, by: OfferedBy::Peer }, |_| ());
        model.table.shards[SHARD].read().expires_from()
    };
    assert_eq!([put(0, b"1", 0), put(1, b"1", 5000), put(2, b"1", 100), put(3, b"1", 9000)], [0, 5000, 100, 100]);
    let removed = |key: usize| {
        model.table.remove(SHARD, |report, _| report.key == model.keys[key]);
        model.table.shards[SHARD].read().expires_from()
    };
    assert_eq!([removed(2), removed(1), removed(3), removed(0)], [5000, 9000, 0, 0]);
}

/// Goal: a scan of a table takes a lock for no more records than it says. Method: the longest run over records of some bytes and of some
/// KiB.
#[test]
fn run_is_bounded_in_records_and_bytes() {
    for record_bytes in [10, 20_000] {
        let model = Model::new(None);
        let record = vec![b'x'; record_bytes];
        for key in &model.keys {
            let rank = Rank { reign: Reign(0), rank: b"1", record: &record, form: 1 };
            let head = Head::of(Stamp { lane: LaneId(0), seq: 1 });
            let _ = model.table.offer(Offer { key, rank, head, by: OfferedBy::Peer }, |_| ());
        }
        let (mut scan, mut visited, mut longest) = (TableScan::default(), 0, 0);
        while !scan.is_complete(&model.table) {
            let mut bytes = 0;
            visited += scan.run(&model.table, |scanned| bytes += 1024 + scanned.record().0.record.len());
            longest = longest.max(bytes);
        }
        assert_eq!(visited, KEYS);
        // A bucket and what passed on from it are read whole.
        assert!(longest <= (RUN_COST + 24) * 1024 + 24 * record_bytes, "{longest}");
    }
}

const SHARD: usize = 17;
const KEYS: usize = 400;
