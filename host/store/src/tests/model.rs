//! A node with a table of eight keys over the real log and a simulated disk, checked on random schedules.
//!
//! The table holds the newest version of each key, and a vector claims versions of all keys. After every restart:
//!
//! - nothing is there that was not appended;
//! - what had been reported durable is there, and after the end of a process alone, what had been reported written;
//! - every version that an intact vector claims is there, whatever was damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use herd_replication::JournalKind;
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::{
    DiskOperation, Durability, EntryRun, Log, LogOptions, SimFiles, Snapshot, SnapshotSource, StoreConfig, recover,
};

/// Newest version of each key.
type Table = BTreeMap<u8, u64>;

#[derive(Clone, Debug)]
enum Step {
    Keep {
        key: u8,
        length: u16,
    },
    Vector,
    Flush,
    Sync,
    /// Begins a snapshot, or writes its next run, or completes it.
    Snapshot,
    AbandonSnapshot,
    Kill,
    LosePower {
        seed: u64,
    },
    /// Ends the process, and damages a byte or takes some out.
    Damage {
        seed: u64,
    },
    Fail {
        operation: DiskOperation,
        after: u64,
        times: u64,
    },
    Space {
        bytes: u64,
    },
    Heal,
}

struct Node {
    files: SimFiles,
    durability: Durability,
    log: Option<Arc<Log<SimFiles>>>,
    table: Arc<Mutex<Table>>,
    snapshot: Option<(Snapshot<SimFiles>, Source)>,
    /// Payloads of all reports ever.
    appended: BTreeSet<Vec<u8>>,
    version: u64,
    /// Keeps of this process: position, key, version.
    waiting: Vec<(u64, u8, u64)>,
    /// Versions that were recovered, until the log accepts for the first time.
    recovered: Table,
    written: Table,
    durable: Table,
    lives: u64,
}

struct Source {
    table: Arc<Mutex<Table>>,
    vector: Vec<u8>,
    keys: Vec<u8>,
}

impl Source {
    fn new(table: &Arc<Mutex<Table>>) -> Self {
        Self { vector: vector(&table.lock()), table: table.clone(), keys: (0..KEYS).collect() }
    }
}

impl SnapshotSource for Source {
    fn fill(&mut self, run: &mut EntryRun) -> bool {
        if let Some(key) = self.keys.pop() {
            if let Some(version) = self.table.lock().get(&key) {
                run.push(JournalKind::Report, &report(key, *version, 30));
            }
            return true;
        }
        run.push(JournalKind::Vector, &self.vector);
        false
    }
}

/// Key, version, and bytes that depend on them.
fn report(key: u8, version: u64, length: u16) -> Vec<u8> {
    let mut bytes = vec![key];
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend((0..length).map(|at| (version as u8) ^ (at as u8).wrapping_mul(31)));
    bytes
}

fn read_report(payload: &[u8]) -> (u8, u64) {
    (payload[0], u64::from_le_bytes(payload[1..9].try_into().unwrap()))
}

fn vector(table: &Table) -> Vec<u8> {
    table.iter().flat_map(|(key, version)| [&[*key][..], &version.to_le_bytes()].concat()).collect()
}

fn raise(table: &mut Table, key: u8, version: u64) {
    let newest = table.entry(key).or_default();
    *newest = version.max(*newest);
}

/// A generator for what chance decides on the disk.
fn chance(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |bound| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    }
}

impl Node {
    fn new(durability: Durability) -> Self {
        let mut node = Self {
            files: SimFiles::new(),
            durability,
            log: None,
            table: Arc::default(),
            snapshot: None,
            appended: BTreeSet::new(),
            version: 0,
            waiting: Vec::new(),
            recovered: Table::new(),
            written: Table::new(),
            durable: Table::new(),
            lives: 0,
        };
        node.start(&Table::new());
        node
    }

    /// Recovers and begins the log. `certain` has to be there.
    fn start(&mut self, certain: &Table) {
        self.files = self.files.reopen();
        let (mut table, mut claimed) = (Table::new(), Table::new());
        let appended = &self.appended;
        let recovered = recover(
            &self.files,
            |kind, payload, intact| match kind {
                JournalKind::Report => {
                    assert!(appended.contains(payload), "never appended: {payload:?}");
                    let (key, version) = read_report(payload);
                    raise(&mut table, key, version);
                }
                JournalKind::Vector if intact => payload.chunks(9).for_each(|claim| {
                    let (key, version) = read_report(claim);
                    raise(&mut claimed, key, version);
                }),
                _ => {}
            },
            |_| {},
        )
        .unwrap();
        for (key, version) in certain {
            let found = table.get(key).copied().unwrap_or(0);
            assert!(found >= *version, "key {key}: certain {version}, found {found}; {recovered:?}");
        }
        for (key, version) in &claimed {
            let found = table.get(key).copied().unwrap_or(0);
            assert!(found >= *version, "key {key}: claimed {version}, found {found}; {recovered:?}");
        }
        self.lives += 1;
        let config = StoreConfig { durability: self.durability, log_mib_max: 1 };
        let options = LogOptions { buffer_bytes_max: 2000, ..LogOptions::new(&config, self.lives) };
        self.log = Some(Arc::new(Log::begin(self.files.clone(), &recovered, options, || {})));
        self.waiting.clear();
        self.recovered = table.clone();
        self.written = table.clone();
        self.durable = Table::new();
        *self.table.lock() = table;
        self.observe();
    }

    fn log(&self) -> Arc<Log<SimFiles>> {
        self.log.clone().unwrap()
    }

    /// Notes what the log reports.
    fn observe(&mut self) {
        let log = self.log();
        if log.accepts() {
            for (key, version) in &self.recovered {
                raise(&mut self.durable, *key, *version);
            }
        }
        for (position, key, version) in &self.waiting {
            if *position <= log.written() {
                raise(&mut self.written, *key, *version);
            }
            if *position <= log.durable() {
                raise(&mut self.durable, *key, *version);
            }
        }
        assert!(log.durable() <= log.appended() && log.written() <= log.appended());
    }

    fn end(&mut self) {
        self.snapshot = None;
        self.log = None;
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Keep { key, length } => {
                self.version += 1;
                let payload = report(*key, self.version, *length);
                self.appended.insert(payload.clone());
                // A snapshot writes the version with a length of its own.
                self.appended.insert(report(*key, self.version, 30));
                self.table.lock().insert(*key, self.version);
                let position = self.log().append(JournalKind::Report, &payload);
                self.waiting.push((position, *key, self.version));
            }
            Step::Vector => {
                let vector = vector(&self.table.lock());
                self.log().append(JournalKind::Vector, &vector);
            }
            Step::Flush => {
                self.log().flush();
            }
            Step::Sync => {
                self.log().sync();
            }
            Step::Snapshot => self.step_snapshot(),
            Step::AbandonSnapshot => self.snapshot = None,
            Step::Kill => {
                self.files.kill();
                self.end();
                self.files.heal();
                self.start(&self.written.clone());
            }
            Step::LosePower { seed } => {
                self.files.crash(&mut chance(*seed));
                self.end();
                self.files.heal();
                let certain = match self.durability {
                    Durability::Disk => self.durable.clone(),
                    _ => Table::new(),
                };
                self.start(&certain);
            }
            Step::Damage { seed } => {
                self.files.kill();
                self.end();
                self.files.heal();
                damage(&self.files.reopen(), &mut chance(*seed));
                self.start(&Table::new());
            }
            Step::Fail { operation, after, times } => self.files.fail(*operation, *after, *times),
            Step::Space { bytes } => self.files.set_space(Some(*bytes)),
            Step::Heal => self.files.heal(),
        }
        self.observe();
    }

    fn step_snapshot(&mut self) {
        let Some((mut snapshot, mut source)) = self.snapshot.take() else {
            let source = Source::new(&self.table);
            self.snapshot = Snapshot::begin(&self.log()).ok().map(|snapshot| (snapshot, source));
            return;
        };
        match snapshot.step(&mut source) {
            Ok(true) => self.snapshot = Some((snapshot, source)),
            Ok(false) => {
                let _ = snapshot.finish();
            }
            Err(_) => {}
        }
    }
}

fn damage(files: &SimFiles, chance: &mut impl FnMut(u64) -> u64) {
    let names = crate::Files::names(files).unwrap();
    let name = &names[chance(names.len() as u64) as usize];
    let length = files.content(name).unwrap().len();
    if length == 0 {
        return;
    }
    let at = chance(length as u64) as usize;
    match chance(2) {
        0 => files.flip(name, at, 1 << chance(8)),
        _ => files.take_out(name, at, (chance(60) as usize + 1).min(length - at)),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let operation = prop_oneof![
        Just(DiskOperation::Name),
        Just(DiskOperation::Write),
        Just(DiskOperation::Sync),
        Just(DiskOperation::SyncDirectory),
    ];
    let step = prop_oneof![
        20 => (0..KEYS, 0u16..150).prop_map(|(key, length)| Step::Keep { key, length }),
        3 => Just(Step::Vector),
        5 => Just(Step::Flush),
        5 => Just(Step::Sync),
        20 => Just(Step::Snapshot),
        1 => Just(Step::AbandonSnapshot),
        2 => Just(Step::Kill),
        3 => any::<u64>().prop_map(|seed| Step::LosePower { seed }),
        1 => any::<u64>().prop_map(|seed| Step::Damage { seed }),
        2 => (operation, 0u64..4, 1u64..3).prop_map(|(operation, after, times)| Step::Fail { operation, after, times }),
        1 => (0u64..400).prop_map(|bytes| Step::Space { bytes }),
        2 => Just(Step::Heal),
    ];
    prop::collection::vec(step, 1..120)
}

fn run(durability: Durability, steps: &[Step]) {
    let mut node = Node::new(durability);
    steps.iter().for_each(|step| node.step(step));
    node.step(&Step::Kill);
    node.step(&Step::LosePower { seed: 1 });
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn store_on_disk_keeps_what_it_reported_on_any_schedule(steps in steps()) {
        run(Durability::Disk, &steps);
    }

    #[test]
    fn store_in_os_keeps_what_it_reported_on_any_schedule(steps in steps()) {
        run(Durability::Os, &steps);
    }
}

/// More schedules with PROPTEST_CASES.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(2000), failure_persistence: None, ..config }
}

const KEYS: u8 = 8;
