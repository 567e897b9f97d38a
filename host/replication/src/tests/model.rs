//! A whole replica against a plain map, over random histories: keeps of clients, frames of a peer, a guest that refuses, forgetting,
//! expiry, snapshots, restarts and lists.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use herd_model::{GenerationId, Kept};
use herd_sdk::{Decision, Effect, Records, Report};
use proptest::prelude::*;

use super::pair::{Asleep, Log, LogEntry};
use crate::ingest::{Ingest, IngestHost, NotDecided};
use crate::lanes::Lane;
use crate::listing::RecordState;
use crate::live_links::LinkPort;
use crate::replica::{NewRecord, Replica, ReplicaConfig};
use crate::stamp::{Epoch, LaneId, Stamp};
use crate::wire_report::{Head, WireReport};

/// Step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Keep {
        worker: usize,
        report: Told,
    },
    Ingest(Vec<Told>),
    Forget {
        key: u8,
        lasts_s: u64,
    },
    /// Another guest takes what was refused.
    Release,
    Pass {
        seconds: u64,
    },
    Snapshot,
    Restart,
    List {
        after: Option<u8>,
        limit: usize,
    },
}

/// Report of a client or of a peer.
#[derive(Clone, Debug)]
struct Told {
    key: u8,
    reign: u64,
    rank: u8,
    refused: bool,
    lasts_s: Option<u64>,
}

/// Record of the model. Its order is that of the documentation: reign, rank, record, form, tombstone, expiry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Model {
    reign: u64,
    rank: Vec<u8>,
    record: Vec<u8>,
    form: u32,
    tombstone: bool,
    /// `u64::MAX` for never.
    expires_at: u64,
}

#[derive(Clone, Debug, Default)]
struct Held {
    readable: Option<Model>,
    quarantined: Option<Model>,
}

/// Guest that refuses records with `!`, or takes everything.
struct Guest(AtomicBool);

impl IngestHost for Guest {
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
        let refuses = !self.0.load(Ordering::Relaxed);
        let refused = (0..).zip(reports).filter(|(_, report)| refuses && report.bytes.starts_with(b"!"));
        let effects = refused.map(|(index, _)| Effect::Refuse(index)).collect();
        Ok((GenerationId(1), Decision { effects, ..Decision::default() }))
    }

    fn perform(&self, _: GenerationId, _: &Decision, _: &[bool]) {}

    fn now_ns(&self) -> u64 {
        0
    }
}

struct World {
    replica: Arc<Replica>,
    ingest: Ingest<Guest>,
    port: Arc<LinkPort>,
    log: Log,
    /// Entries of the log before the last restart or snapshot.
    earlier: Vec<LogEntry>,
    starts: u64,
    seq: u64,
    now_s: u64,
    map: BTreeMap<u8, Held>,
}

impl Held {
    fn highest(&self) -> Option<&Model> {
        self.quarantined.as_ref().or(self.readable.as_ref())
    }
}

impl World {
    fn new() -> Self {
        let (replica, ingest, log) = Self::start(&[], 1, NOW_S);
        let port = LinkPort::new("Jaquez", 1 << 20, 2, Asleep);
        let map = BTreeMap::new();
        Self { replica, ingest, port, log, earlier: Vec::new(), starts: 1, seq: 0, now_s: NOW_S, map }
    }

    /// Starts a process from the log of the earlier ones.
    fn start(earlier: &[LogEntry], started_ms: u64, now_s: u64) -> (Arc<Replica>, Ingest<Guest>, Log) {
        let epoch = Epoch { started_ms, random: 7 };
        let mut replica = Replica::without_log(ReplicaConfig { epoch, ..ReplicaConfig::for_tests("Riley") });
        let mut recovery = replica.recovery().at(now_s);
        for LogEntry { kind, payload } in earlier {
            recovery.entry(*kind, payload, true).unwrap();
        }
        assert_eq!(recovery.finish().restamped, 0);
        let log = Log::default();
        replica.attach(log.clone());
        let replica = Arc::new(replica);
        replica.expire(now_s);
        (Arc::clone(&replica), Ingest::new(replica, Guest(AtomicBool::new(false))), log)
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Keep { worker, report } => self.keep(*worker, report),
            Step::Ingest(reports) => self.take(reports),
            Step::Forget { key, lasts_s } => self.forget(*key, *lasts_s),
            Step::Release => self.release(),
            Step::Pass { seconds } => {
                self.now_s += seconds;
                let before = self.count();
                let now_s = self.now_s;
                for held in self.map.values_mut() {
                    held.readable = held.readable.take().filter(|record| !is_past(record, now_s));
                    held.quarantined = held.quarantined.take().filter(|record| !is_past(record, now_s));
                }
                assert_eq!(self.replica.expire(now_s), before - self.count());
            }
            Step::Snapshot => {
                let mut entries = Vec::new();
                let mut snapshot = self.replica.snapshot();
                while snapshot.next(|kind, payload| entries.push(LogEntry { kind, payload: payload.to_vec() })) {}
                self.earlier = entries;
                self.log.clear();
            }
            Step::Restart => {
                self.earlier.extend(self.log.entries());
                self.starts += 1;
                (self.replica, self.ingest, self.log) = Self::start(&self.earlier, self.starts, self.now_s);
            }
            Step::List { after, limit } => self.list(*after, *limit),
        }
        self.check();
    }

    fn count(&self) -> usize {
        self.map.values().flat_map(|held| [&held.readable, &held.quarantined]).flatten().count()
    }

    fn expiry(&self, lasts_s: Option<u64>) -> u64 {
        lasts_s.map_or(0, |lasts_s| self.now_s + lasts_s)
    }

    fn model(&self, told: &Told, reign: u64) -> Model {
        let expires_at = self.expiry(told.lasts_s);
        let record = vec![if told.refused { b'!' } else { b'.' }; 3];
        let expires_at = if expires_at == 0 { u64::MAX } else { expires_at };
        Model { reign, rank: vec![told.rank], record, form: 1, tombstone: false, expires_at }
    }

    fn keep(&mut self, worker: usize, told: &Told) {
        let held = self.map.entry(told.key).or_default().clone();
        let reign = held.highest().map_or(0, |highest| highest.reign);
        let model = self.model(told, reign);
        let expires_at = self.expiry(told.lasts_s);
        let new = NewRecord {
            key: &key(told.key),
            rank: &model.rank,
            form: 1,
            record: &model.record,
            expires_at,
            only: None,
        };
        let keeping = self.replica.keep(worker, new);
        let wins = held.highest().is_none_or(|highest| model > *highest);
        assert_eq!(matches!(keeping.kept, Kept::Applied(_)), wins);
        if wins {
            self.map.insert(told.key, Held { readable: Some(model), quarantined: None });
        }
    }

    fn forget(&mut self, number: u8, lasts_s: u64) {
        let expires_at = self.now_s + lasts_s;
        let held = self.map.entry(number).or_default();
        let reign = held.highest().map_or(0, |highest| highest.reign) + 1;
        let epoch = self.replica.lanes().get(LaneId(0)).unwrap().epoch;
        let record = [&expires_at.to_be_bytes()[..], &epoch.random.to_be_bytes(), b"Riley"].concat();
        let model = Model { reign, rank: Vec::new(), record, form: 0, tombstone: true, expires_at };
        *held = Held { readable: Some(model), quarantined: None };
        assert!(matches!(self.replica.forget(&key(number), expires_at).kept, Kept::Applied(_)));
    }

    fn take(&mut self, told: &[Told]) {
        let lane = Lane { origin: "Jaquez".into(), epoch: Epoch { started_ms: 5, random: 5 }, worker: 0 };
        let lane = self.replica.number_lanes(&[(LaneId(0), lane)]).unwrap()[0];
        let models: Vec<Model> = told.iter().map(|told| self.model(told, told.reign)).collect();
        let keys: Vec<Vec<u8>> = told.iter().map(|told| key(told.key)).collect();
        let mut reports = Vec::new();
        for ((told, model), key) in told.iter().zip(&models).zip(&keys) {
            self.seq += 1;
            let stamp = Stamp { lane, seq: self.seq };
            let head = Head { expires_at: self.expiry(told.lasts_s), ..Head::of(stamp) };
            let (rank, record) = (&model.rank[..], &model.record[..]);
            reports.push(WireReport { head, key, reign: model.reign, rank, form: 1, record, extension: b"" });
        }
        self.ingest.take(0, &self.port, &reports).unwrap();
        for (told, model) in told.iter().zip(models) {
            let held = self.map.entry(told.key).or_default();
            if held.quarantined.as_ref().is_some_and(|quarantined| model < *quarantined) && !told.refused {
                // Between the readable record and the quarantined report.
                if held.readable.as_ref().is_none_or(|readable| model > *readable) {
                    held.readable = Some(model);
                }
            } else if held.highest().is_none_or(|highest| model > *highest) {
                if told.refused {
                    held.quarantined = Some(model);
                } else {
                    *held = Held { readable: Some(model), quarantined: None };
                }
            }
        }
    }

    fn release(&mut self) {
        self.ingest.host().0.store(true, Ordering::Relaxed);
        self.ingest.offer_quarantined(1);
        self.ingest.host().0.store(false, Ordering::Relaxed);
        for held in self.map.values_mut() {
            held.readable = held.quarantined.take().or(held.readable.take());
        }
    }

    fn list(&self, after: Option<u8>, limit: usize) {
        let listed = self.replica.list(b"k", after.map(key).as_deref(), limit);
        let in_order = self.map.iter().filter(|(_, held)| held.highest().is_some());
        let keys = in_order.filter(|(number, _)| after.is_none_or(|after| **number > after)).take(limit);
        let expected = keys.flat_map(|(number, held)| {
            let both = [(&held.readable, false), (&held.quarantined, true)].into_iter();
            both.filter_map(|(record, quarantined)| Some((key(*number), record.clone()?, quarantined)))
        });
        let expected: Vec<_> = expected
            .map(|(key, model, quarantined)| {
                let state = if model.tombstone {
                    RecordState::Forgotten
                } else if model.expires_at <= self.now_s {
                    RecordState::Expired
                } else if quarantined {
                    RecordState::Quarantined
                } else {
                    RecordState::Visible
                };
                (key, model, state)
            })
            .collect();
        let listed: Vec<_> = listed
            .into_iter()
            .map(|listed| {
                let expires_at = if listed.expires_at == 0 { u64::MAX } else { listed.expires_at };
                let tombstone = listed.state == RecordState::Forgotten;
                let (reign, rank, record, form) = (listed.reign, listed.rank, listed.record, listed.form);
                (listed.key, Model { reign, rank, record, form, tombstone, expires_at }, listed.state)
            })
            .collect();
        assert_eq!(listed, expected);
    }

    /// Checks what guests see, what is counted, and that the digest is that of a replica that was only told the records.
    fn check(&self) {
        for (number, held) in &self.map {
            let is_shown = |model: &&Model| !model.tombstone && model.expires_at > self.now_s;
            let shown = held.readable.as_ref().filter(is_shown).map(|model| (model.rank.clone(), model.record.clone()));
            let found = self.replica.table().find(&[&key(*number)]).remove(0);
            assert_eq!(found.map(|found| (found.rank, found.bytes)), shown, "key {number}");
        }
        assert_eq!(self.replica.table().keys(), self.map.values().filter(|held| held.readable.is_some()).count());
    }
}

/// Returns whether a record has reached its boundary: ten minutes behind its expiry, at the next whole minute.
fn is_past(model: &Model, now_s: u64) -> bool {
    model.expires_at != u64::MAX && (model.expires_at + 600).div_ceil(60) <= now_s / 60
}

fn key(number: u8) -> Vec<u8> {
    // In the order of their numbers.
    format!("k{number:03}").into_bytes()
}

fn told(reign: u64) -> impl Strategy<Value = Told> {
    let lasts_s = prop_oneof![2 => Just(None), 1 => (1..900_u64).prop_map(Some)];
    (0..KEYS, 0..=reign, 0..6_u8, prop::bool::weighted(0.3), lasts_s)
        .prop_map(|(key, reign, rank, refused, lasts_s)| Told { key, reign, rank, refused, lasts_s })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // A frame with several reports of one key would be decided before the first is applied, which the tests of ingest cover.
    let frame = prop::collection::vec(told(2), 1..4).prop_map(|mut told| {
        told.sort_by_key(|told| told.key);
        told.dedup_by_key(|told| told.key);
        Step::Ingest(told)
    });
    let step = prop_oneof![
        6 => (0..2_usize, told(0)).prop_map(|(worker, report)| Step::Keep { worker, report }),
        6 => frame,
        1 => (0..KEYS, 1..900_u64).prop_map(|(key, lasts_s)| Step::Forget { key, lasts_s }),
        1 => Just(Step::Release),
        2 => (1..700_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Restart),
        1 => (prop::option::of(0..KEYS), 0..9_usize).prop_map(|(after, limit)| Step::List { after, limit }),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn replica_equals_a_map_after_any_history(steps in steps()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.apply(step));
        world.apply(&Step::Restart);
        world.list(None, usize::from(KEYS));
    }
}

const KEYS: u8 = 12;
const NOW_S: u64 = 1_000_000;
