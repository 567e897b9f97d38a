//! Tests of the entry table: random changes against a plain map, scans while it changes, and the memory that it takes.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use herd_model::Reign;
use proptest::prelude::*;
use siphasher::sip::SipHasher13;

use super::*;
use crate::memory::BLOCK_BYTES;
use crate::rank::Rank;
use crate::stamp::{LaneId, Stamp};
use crate::wire_report::Head;

/// Step of a random history. Keys and records are numbers, which `Model` turns into bytes.
#[derive(Clone, Debug)]
enum Step {
    Put {
        key: u16,
        record_bytes: usize,
    },
    Remove(u16),
    /// Goes on with the scan, or begins the next one.
    Scan {
        cost_max: usize,
    },
}

/// Table and map, after the same steps.
struct Model {
    table: EntryTable,
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bits of a hash that may be set. Few of them make keys collide.
    hash_mask: u64,
    scan: Scan,
    steps: usize,
}

/// Scan under way.
#[derive(Default)]
struct Scan {
    from: Position,
    visited: BTreeSet<Vec<u8>>,
    /// Keys that have been in the table since the scan began.
    throughout: BTreeSet<Vec<u8>>,
}

impl Model {
    fn new(hash_mask: u64) -> Self {
        let table = EntryTable::new(Arc::new(Memory::default()));
        Self { table, map: BTreeMap::new(), hash_mask, scan: Scan::default(), steps: 0 }
    }

    fn apply(&mut self, step: &Step) {
        self.steps += 1;
        match *step {
            Step::Put { key, record_bytes } => self.put(&key_bytes(key), &vec![self.steps as u8; record_bytes]),
            Step::Remove(key) => self.remove(&key_bytes(key)),
            Step::Scan { cost_max } => self.scan(cost_max),
        }
    }

    fn put(&mut self, key: &[u8], record: &[u8]) {
        let new = new_entry(key, record);
        let hash = self.hash(key);
        let rehash = rehash(self.hash_mask);
        match self.place(key) {
            Some(place) => self.table.replace(place, &new, rehash),
            None => self.table.insert(hash, &new, rehash),
        }
        self.map.insert(key.to_vec(), record.to_vec());
    }

    fn remove(&mut self, key: &[u8]) {
        let place = self.place(key);
        assert_eq!(place.is_some(), self.map.remove(key).is_some());
        if let Some(place) = place {
            self.table.remove(self.hash(key), place, rehash(self.hash_mask));
        }
        self.scan.throughout.remove(key);
    }

    fn scan(&mut self, cost_max: usize) {
        let Scan { from, visited, throughout } = &mut self.scan;
        let mut cost = 0;
        let next = self.table.scan(*from, cost_max, rehash(self.hash_mask), |entry| {
            assert_eq!(self.map[entry.key()], entry.rank().record);
            // A key may be visited again only if it was removed and came back.
            let is_first = visited.insert(entry.key().to_vec());
            assert!(is_first || !throughout.contains(entry.key()), "{:?} was visited twice", entry.key());
            cost += scan_cost(entry.len());
        });
        match next {
            Some(next) => {
                assert!(cost >= cost_max);
                *from = next;
            }
            None => {
                assert!(visited.is_superset(throughout), "not visited: {:?}", throughout.difference(visited));
                let throughout = self.map.keys().cloned().collect();
                self.scan = Scan { throughout, ..Scan::default() };
            }
        }
    }

    /// Compares the table with the map.
    fn check(&self) {
        for (key, record) in &self.map {
            let place = self.place(key).expect("a key that was put is found");
            assert_eq!(self.table.get(place).rank().record, record);
        }
        let entries: Vec<_> =
            self.table.iter().map(|entry| (entry.key().to_vec(), entry.rank().record.to_vec())).collect();
        assert_eq!(entries.len(), self.map.len());
        assert_eq!(entries.into_iter().collect::<BTreeMap<_, _>>(), self.map);
        for key in (0..KEYS).map(key_bytes).filter(|key| !self.map.contains_key(key)) {
            assert!(self.place(&key).is_none(), "a key that was removed or never put is not found");
        }
    }

    fn place(&self, key: &[u8]) -> Option<Place> {
        self.table.prefetch(self.hash(key));
        self.table.find(self.hash(key), |entry| entry.key() == key)
    }

    fn hash(&self, key: &[u8]) -> u64 {
        hash(key) & self.hash_mask
    }
}

fn hash(key: &[u8]) -> u64 {
    SipHasher13::new().hash(key)
}

fn rehash(mask: u64) -> impl Fn(Entry<'_>) -> u64 {
    move |entry| hash(entry.key()) & mask
}

fn key_bytes(key: u16) -> Vec<u8> {
    format!("kiwi-{key}").into_bytes()
}

fn new_entry<'a>(key: &'a [u8], record: &'a [u8]) -> NewEntry<'a> {
    NewEntry {
        key,
        rank: Rank { reign: Reign(0), rank: b"rank", record, form: 1 },
        head: Head::of(Stamp { lane: LaneId(0), seq: 1 }),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record_bytes =
        prop_oneof![8 => 60..90_usize, 4 => 0..1200_usize, 1 => 8000..9000_usize, 1 => 30_000..70_000_usize];
    let step = prop_oneof![
        8 => (0..KEYS, record_bytes).prop_map(|(key, record_bytes)| Step::Put { key, record_bytes }),
        3 => (0..KEYS).prop_map(Step::Remove),
        2 => (1..40_usize).prop_map(|cost_max| Step::Scan { cost_max }),
    ];
    prop::collection::vec(step, 1..1500)
}

/// Masks of a hash: all bits; few buckets and few tags; one tag; one bucket.
fn hash_masks() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![u64::MAX, 0xe000_0000_0000_0300, !0xff00, 0xff00])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn table_equals_a_map_after_any_history(mask in hash_masks(), steps in steps()) {
        let mut model = Model::new(mask);
        steps.iter().for_each(|step| model.apply(step));
        model.check();
        // The scan under way still ends well.
        model.scan(usize::MAX);
        for key in model.map.keys().cloned().collect::<Vec<_>>() {
            model.remove(&key);
        }
        prop_assert_eq!(model.table.iter().count(), 0);
    }
}

/// Goal: gaps never take more than half of the blocks, beside the newest. Method: records of changing lengths under few keys, keys
/// that are removed, and a key that comes and goes, so that whole blocks are gaps by the time they are full.
#[test]
fn gaps_are_cleaned() {
    let mut model = Model::new(u64::MAX);
    let check = |model: &Model| {
        model.check();
        // A unit more than each entry needs.
        let room = |(key, record): (&Vec<u8>, &Vec<u8>)| new_entry(key, record).length() + 4 + 16;
        let (live, taken) = (model.map.iter().map(room).sum::<usize>(), model.table.arena.bytes());
        assert!(taken <= 2 * (live + BLOCK_BYTES), "{taken} bytes for {live}");
    };
    for round in 0..40_usize {
        for key in 0..KEYS {
            let record = vec![0; 100 + 16 * ((round * 7 + usize::from(key)) % 13)];
            model.put(&key_bytes(key), &record);
        }
    }
    check(&model);
    (1..KEYS).for_each(|key| model.remove(&key_bytes(key)));
    check(&model);
    for _ in 0..2000 {
        model.put(&key_bytes(1), &[0; 100]);
        model.remove(&key_bytes(1));
    }
    check(&model);
}

/// Goal: buckets double when they hold nine entries each, and for no entry that was removed. Method: new keys one by one, and then one key
/// that comes and goes.
#[test]
fn buckets_are_as_many_as_the_entries_need() {
    let mut model = Model::new(u64::MAX);
    for count in 1..=KEYS {
        model.put(&key_bytes(count - 1), b"record");
        assert_eq!(model.table.buckets().len(), usize::from(count).div_ceil(LOAD_MAX).next_power_of_two(), "{count}");
    }
    for _ in 0..1000 {
        model.remove(&key_bytes(0));
        model.put(&key_bytes(0), b"record");
    }
    assert_eq!(model.table.buckets().len(), 64);
    model.check();
}

/// Goal: a lookup reads few entries. Method: entries of one bucket whose hashes differ in the bits of the tag alone.
#[test]
fn find_reads_entries_with_the_tag_of_the_hash_only() {
    let mut table = EntryTable::new(Arc::new(Memory::default()));
    let hash = |number: u64| (number + 1) << 8;
    for number in 0..LOAD_MAX as u64 {
        table.insert(hash(number), &new_entry(&number.to_be_bytes(), b"record"), |_| 0);
    }
    for number in 0..LOAD_MAX as u64 {
        let read = Cell::new(0);
        let place = table.find(hash(number), |entry| {
            read.set(read.get() + 1);
            entry.key() == number.to_be_bytes()
        });
        assert_eq!((place.is_some(), read.get()), (true, 1), "{number}");
    }
}

const KEYS: u16 = 400;
