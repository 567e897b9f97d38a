//! History: every keep that a herd made and every answer that a client got, with the invariants over them.
//!
//! Owns the truth that nodes are checked against. Knows nodes only as tables and vectors. Bounds: one entry per keep of a run.

use std::collections::{BTreeMap, BTreeSet};

use herd_model::Reign;
use herd_replication::{Lane, LaneId, Rank, Replica, Stamp, Vector};

use crate::spread::Spread;
use crate::violation::Violation;

/// Keeps and answers of a herd.
#[derive(Debug, Default)]
pub(crate) struct History {
    lanes: BTreeMap<Lane, usize>,
    /// Keeps by lane of the herd and number.
    keeps: Vec<Vec<Option<Held>>>,
    /// Highest record of each key that a client was told is kept.
    answered: BTreeMap<Vec<u8>, OwnedRank>,
    /// Highest tombstone of each key that was forgotten.
    tombstones: BTreeMap<Vec<u8>, OwnedRank>,
    /// Records that a tombstone outranked which has reached its end, and these tombstones: nodes that cover them need not hold them.
    outlived: Records,
    /// Those of them that nothing else outranks, and that must not come back.
    removed: Records,
    spread: Option<Spread>,
}

/// Records by key.
type Records = BTreeMap<Vec<u8>, BTreeSet<OwnedRank>>;

/// Keep of a record.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) key: Vec<u8>,
    pub(crate) rank: OwnedRank,
}

/// A rank with the first bytes of its record. Records in a simulation differ in them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnedRank {
    reign: Reign,
    rank: Vec<u8>,
    record: Vec<u8>,
}

/// Checked part of a node's coverage. Begins anew with each process of the node.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    vector: Vector,
    /// Lanes of the herd by the numbers of the process.
    lanes: Vec<usize>,
}

/// Part of the vectors that have to be equal when a herd is quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    All,
    /// The newest epoch of each node. A recovery behind damage gave records stamps that they have at no other node, so nodes disagree
    /// about which older epochs are in use.
    NewestEpochs,
}

impl OwnedRank {
    pub(crate) fn of(rank: Rank<'_>) -> Self {
        let record = rank.record[..rank.record.len().min(RECORD_BYTES_COMPARED)].to_vec();
        Self { reign: rank.reign, rank: rank.rank.to_vec(), record }
    }

    /// Returns whether this is the same record or outranks it.
    fn reaches(rank: Rank<'_>, other: &Self) -> bool {
        let record = &rank.record[..rank.record.len().min(RECORD_BYTES_COMPARED)];
        (rank.reign, rank.rank, record) >= (other.reign, &other.rank, &other.record)
    }
}

impl History {
    /// Notes a keep that a node made under a stamp of its own.
    pub(crate) fn keep(&mut self, replica: &Replica, seen: &mut Seen, stamp: Stamp, held: Held) {
        // A new report of a removed record makes it valid again.
        for records in [&mut self.outlived, &mut self.removed] {
            if let Some(ranks) = records.get_mut(&held.key) {
                ranks.remove(&held.rank);
            }
        }
        self.restamp(replica, seen, stamp, held);
    }

    /// Notes that a node gave a record that it held a stamp of its own.
    pub(crate) fn restamp(&mut self, replica: &Replica, seen: &mut Seen, stamp: Stamp, held: Held) {
        let lane = self.lane(replica, seen, stamp.lane);
        let keeps = &mut self.keeps[lane];
        let index = stamp.seq as usize - 1;
        if keeps.len() <= index {
            keeps.resize(index + 1, None);
        }
        if let Some(spread) = &mut self.spread {
            let origin = replica.lanes().get(stamp.lane).map(|lane| lane.origin).unwrap_or_default();
            spread.kept(lane, stamp.seq, &origin, &held.key);
        }
        keeps[index] = Some(held);
    }

    /// Begins to note when reports reach which node.
    pub(crate) fn note_spread(&mut self, nodes: Vec<String>) {
        self.spread = Some(Spread::new(nodes));
    }

    /// Returns what was noted.
    pub(crate) fn take_spread(&mut self) -> Option<Spread> {
        self.spread.take()
    }

    /// Returns what is noted.
    pub(crate) fn spread(&mut self) -> Option<&mut Spread> {
        self.spread.as_mut()
    }

    /// Sets the time of what is noted next.
    pub(crate) fn set_now(&mut self, now_ns: u64) {
        if let Some(spread) = &mut self.spread {
            spread.now_ns = now_ns;
        }
    }

    /// Notes that an operator forgot a key.
    pub(crate) fn forget(&mut self, tombstone: &Held) {
        let highest = self.tombstones.entry(tombstone.key.clone()).or_insert_with(|| tombstone.rank.clone());
        if *highest < tombstone.rank {
            *highest = tombstone.rank.clone();
        }
    }

    /// Notes that all tombstones have reached their end. What was kept under those which a node holds must not come back.
    pub(crate) fn remove_forgotten(&mut self, replica: &Replica) {
        let mut keys: BTreeSet<Vec<u8>> = BTreeSet::new();
        for shard in 0..replica.table().shards() {
            replica.table().visit(shard, |report, _| {
                if report.head.tombstone {
                    keys.insert(report.key.to_vec());
                }
            });
        }
        let outranked = |held: &&Held| self.tombstones.get(&held.key).is_some_and(|tombstone| held.rank <= *tombstone);
        for held in self.keeps.iter().flatten().flatten().filter(outranked) {
            self.outlived.entry(held.key.clone()).or_default().insert(held.rank.clone());
            if keys.contains(&held.key) {
                self.removed.entry(held.key.clone()).or_default().insert(held.rank.clone());
            }
        }
        // Reigns begin again where a tombstone is gone.
        self.tombstones.clear();
        let removed = &self.removed;
        self.answered.retain(|key, rank| !loses_to_any(removed, key, rank));
    }

    /// Checks that a node has nothing that was forgotten and is remembered by nobody.
    ///
    /// # Errors
    ///
    /// It has.
    pub(crate) fn check_forgotten(&self, node: &str, replica: &Replica) -> Result<(), Violation> {
        let mut returned: Option<Vec<u8>> = None;
        for shard in (0..replica.table().shards()).filter(|_| !self.removed.is_empty()) {
            // Also what is below a quarantined report.
            replica.table().visit(shard, |report, _| {
                if has(&self.removed, report.key, &OwnedRank::of(report.ranked())) {
                    returned = Some(report.key.to_vec());
                }
            });
        }
        returned.map_or(Ok(()), |key| Err(Violation::Returned { key: text(&key), node: node.into() }))
    }

    /// Notes that a client was told that its report is kept.
    pub(crate) fn answer(&mut self, held: &Held) {
        // The answer came after the month in which the record was removed, or the one to which the report had lost.
        if loses_to_any(&self.removed, &held.key, &held.rank) {
            return;
        }
        let highest = self.answered.entry(held.key.clone()).or_insert_with(|| held.rank.clone());
        if *highest < held.rank {
            *highest = held.rank.clone();
        }
    }

    /// Checks that a node holds what its vector covers. Only what it did not cover at the last check: a table never goes back while a
    /// process runs.
    ///
    /// # Errors
    ///
    /// It does not.
    pub(crate) fn check_coverage(&mut self, node: &str, replica: &Replica, seen: &mut Seen) -> Result<(), Violation> {
        let vector = replica.vector();
        let news: Vec<(LaneId, u64)> = vector.beyond(&seen.vector).collect();
        for (id, to) in news {
            let from = seen.vector.get(id).unwrap_or(0);
            let lane = self.lane(replica, seen, id);
            let covered = self.keeps[lane].iter().enumerate().take(to as usize).skip(from as usize);
            for (index, held) in covered {
                if let Some(spread) = &mut self.spread {
                    spread.arrived(lane, index as u64 + 1, node);
                }
                if let Some(held) = held
                    && !has(&self.outlived, &held.key, &held.rank)
                    && !holds(replica, &held.key, &held.rank)
                {
                    let Lane { origin, worker, .. } = replica.lanes().get(id).expect("a vector names known lanes");
                    let keep = format!("{origin}/{worker}:{}", index + 1);
                    return Err(Violation::CoversWithout { node: node.into(), keep });
                }
            }
        }
        // As it is, and not merged: a node forgets lanes, and may learn of them again.
        seen.vector = vector;
        Ok(())
    }

    /// Checks that some node has each record that a client was told is kept.
    ///
    /// # Errors
    ///
    /// No node has one.
    pub(crate) fn check_answers<'a>(
        &self,
        mode: &str,
        nodes: impl Iterator<Item = &'a Replica> + Clone,
    ) -> Result<(), Violation> {
        let lost = self.answered.iter().find(|(key, rank)| !nodes.clone().any(|node| holds(node, key, rank)));
        lost.map_or(Ok(()), |(key, _)| Err(Violation::Lost { key: text(key), mode: mode.into() }))
    }

    /// Checks that a node has all records that a client was told are kept.
    ///
    /// # Errors
    ///
    /// It lacks one.
    pub(crate) fn check_everywhere(&self, node: &str, replica: &Replica) -> Result<(), Violation> {
        let missing = self.answered.iter().find(|(key, rank)| !holds(replica, key, rank));
        missing.map_or(Ok(()), |(key, _)| Err(Violation::NotEverywhere { key: text(key), node: node.into() }))
    }

    fn lane(&mut self, replica: &Replica, seen: &mut Seen, id: LaneId) -> usize {
        while seen.lanes.len() <= id.0 as usize {
            let next = LaneId(u32::try_from(seen.lanes.len()).expect("lanes are numbered by 32 bits"));
            let lane = replica.lanes().get(next).expect("lanes are numbered in sequence");
            let count = self.lanes.len();
            let number = *self.lanes.entry(lane).or_insert(count);
            if number == self.keeps.len() {
                self.keeps.push(Vec::new());
            }
            seen.lanes.push(number);
        }
        seen.lanes[id.0 as usize]
    }
}

/// Checks that quiet nodes hold equal records and cover the same keeps.
///
/// # Errors
///
/// Two of them do not.
pub(crate) fn check_equal<'a>(
    nodes: impl Iterator<Item = (&'a str, &'a Replica)>,
    compared: Compared,
) -> Result<(), Violation> {
    let vector = |node| vector_by_lane(node, compared);
    let nodes: Vec<_> = nodes.map(|(name, node)| (name, node.table().status().digest, vector(node))).collect();
    for [(left, digest, vector), (right, other_digest, other_vector)] in nodes.array_windows() {
        let (left, right) = ((*left).to_string(), (*right).to_string());
        if digest != other_digest {
            return Err(Violation::Digests { left, right });
        }
        if vector != other_vector {
            let differs = |(lane, seq): &(&Lane, &u64)| other_vector.get(lane) != Some(*seq);
            let missing = |(lane, _): &(&Lane, &u64)| !vector.contains_key(lane);
            let lane = vector.iter().find(differs).or_else(|| other_vector.iter().find(missing)).map(|(lane, _)| lane);
            let difference = lane.map_or_else(String::new, |lane| {
                let Lane { origin, epoch, worker } = lane;
                let (left, right) = (vector.get(lane), other_vector.get(lane));
                format!("{origin}/{worker} of {}.{:x}: {left:?} and {right:?}", epoch.started_ms, epoch.random)
            });
            return Err(Violation::Vectors { left, right, difference });
        }
    }
    Ok(())
}

fn vector_by_lane(replica: &Replica, compared: Compared) -> BTreeMap<Lane, u64> {
    let lanes = replica.lanes();
    let vector = replica.vector();
    let all = vector.iter().map(|(id, seq)| (lanes.get(id).expect("a vector names known lanes"), seq));
    let mut all: BTreeMap<Lane, u64> = all.collect();
    if compared == Compared::NewestEpochs {
        let newest: BTreeMap<_, _> = all.keys().map(|lane| (lane.origin.clone(), lane.epoch)).collect();
        all.retain(|lane, _| newest[&lane.origin] == lane.epoch);
    }
    all
}

fn holds(replica: &Replica, key: &[u8], rank: &OwnedRank) -> bool {
    replica.table().highest(key, |held, _| OwnedRank::reaches(held, rank)).unwrap_or(false)
}

fn has(records: &Records, key: &[u8], rank: &OwnedRank) -> bool {
    records.get(key).is_some_and(|ranks| ranks.contains(rank))
}

/// Returns whether one of these records equals a report or outranks it.
fn loses_to_any(records: &Records, key: &[u8], rank: &OwnedRank) -> bool {
    records.get(key).is_some_and(|ranks| ranks.iter().any(|other| rank <= other))
}

fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

/// Bytes of a record that are compared. Some records of a simulation are long, so that queues overflow, and all differ at their start.
const RECORD_BYTES_COMPARED: usize = 128;
