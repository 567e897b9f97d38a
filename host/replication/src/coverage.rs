//! Coverage: the vector of a node, which advances by its own keeps and by the claims of peers.
//!
//! A lane of the node itself advances when a keep in it is in the table, in the log and in every outbox. All other lanes
//! advance by claims alone, never because a report arrived.
//!
//! The newest epoch of each node is never forgotten; an older one is dormant once no record refers to it, and so are claims over it.
//! Without that rule forgotten lanes would come back with every claim, and vectors would never be equal.
//!
//! Bounds: a lane per worker and one for operators; [`EPOCHS_MAX`] epochs per node of the herd, the newest ones. What an epoch that was
//! dropped had covered is sent again when a link comes up, and is never lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::lanes::{Lane, Lanes};
use crate::stamp::{Epoch, LaneId, Stamp};
use crate::sync::{AtomicU64, Mutex, MutexGuard};
use crate::vector::Vector;

/// Vector of a node.
pub(crate) struct Coverage {
    own: Box<[OwnLane]>,
    others: Mutex<Others>,
}

/// Lane of this process. Alone on its cache lines: its worker writes it at every keep.
#[repr(align(128))]
pub(crate) struct OwnLane {
    id: LaneId,
    writer: Mutex<LaneWriter>,
    /// Highest sequence number whose keep is complete.
    mark: AtomicU64,
}

/// Part of a lane that its keeps change, one at a time.
pub(crate) struct LaneWriter {
    /// Sequence number of the next keep.
    next: u64,
    /// Encoding of the record that is being kept. Reused, so that keeping allocates nothing.
    pub(crate) encoded: Vec<u8>,
}

/// Lanes that claims advance.
struct Others {
    vector: Vector,
    /// Covered lanes of older epochs to which no record refers. Not in the vector of the node, until a record of such a lane arrives: the
    /// peer that sends it has claimed the lane before, and does not claim it again.
    dormant: Vector,
    /// Newest epoch of each node that was heard of.
    newest: BTreeMap<Arc<str>, Epoch>,
}

impl Coverage {
    /// Creates the coverage of the node `origin`, which has a lane for each of its workers and one for operators. They get the first
    /// numbers of `lanes`, which must be empty.
    pub(crate) fn new(lanes: &Lanes, origin: &str, epoch: Epoch, workers: usize) -> Self {
        let origin: Arc<str> = origin.into();
        let own = own_lanes(lanes, &origin, epoch, workers.max(1) + 1);
        let newest = BTreeMap::from([(origin, epoch)]);
        Self { own, others: Mutex::new(Others { vector: Vector::default(), dormant: Vector::default(), newest }) }
    }

    /// Takes from the log of an earlier process that the node covers a lane up to `seq`.
    pub(crate) fn recover(&mut self, lanes: &Lanes, id: LaneId, seq: u64) {
        let others = self.others.get_mut();
        if let Some(lane) = lanes.get(id) {
            others.hear_of(&lane);
            others.vector.advance(id, seq);
        }
    }

    /// Makes the epoch of this process the newest of its node, if the clock was set back since an earlier start. The lanes begun so
    /// far, with what was kept behind damage, become those of an earlier epoch.
    pub(crate) fn outlive_earlier_epochs(&mut self, lanes: &Lanes) {
        let Some(Lane { origin, epoch, .. }) = lanes.get(self.own[0].id) else { return };
        // Also an epoch that made no keep: peers have heard of it, and would forget an older one.
        let earlier = lanes.since(0).into_iter().map(|(_, lane)| lane).filter(|lane| lane.origin == origin);
        let newest = earlier.map(|lane| lane.epoch).max().unwrap_or(epoch);
        if newest > epoch {
            let epoch = Epoch { started_ms: (newest.started_ms + 1).min(Epoch::STARTED_MS_MAX), ..epoch };
            let others = self.others.get_mut();
            for OwnLane { id, mark, .. } in &self.own {
                match mark.load(Ordering::Acquire) {
                    0 => {}
                    seq => drop(others.vector.advance(*id, seq)),
                }
            }
            others.newest.insert(Arc::clone(&origin), epoch);
            self.own = own_lanes(lanes, &origin, epoch, self.own.len());
        }
    }

    /// Returns the lane of a worker. `worker` is taken modulo the number of workers.
    #[inline]
    pub(crate) fn lane_of(&self, worker: usize) -> &OwnLane {
        &self.own[worker % (self.own.len() - 1)]
    }

    /// Returns the lane for keeps of operators.
    pub(crate) fn operators(&self) -> &OwnLane {
        &self.own[self.own.len() - 1]
    }

    /// Returns the vector as it is now.
    pub(crate) fn read(&self) -> Vector {
        let mut vector = self.others.lock().vector.clone();
        for lane in &self.own {
            vector.advance(lane.id, lane.mark.load(Ordering::Acquire));
        }
        vector
    }

    /// Returns the highest complete sequence number of each lane of this process.
    pub(crate) fn own_marks(&self) -> Vector {
        self.own.iter().map(|lane| (lane.id, lane.mark.load(Ordering::Acquire))).collect()
    }

    /// Merges a claim and returns the lanes that advanced. `referenced` returns the lanes to which records refer; it is called only if the
    /// claim has an epoch that is not the newest of its node.
    pub(crate) fn merge(
        &self,
        lanes: &Lanes,
        claim: impl Iterator<Item = (LaneId, u64)>,
        referenced: impl FnOnce() -> BTreeSet<LaneId>,
    ) -> Vec<(LaneId, u64)> {
        let claimed: Vec<(LaneId, u64, Lane)> =
            claim.filter_map(|(lane, seq)| Some((lane, seq, lanes.get(lane)?))).collect();
        let mut others = self.others.lock();
        for (_, _, lane) in &claimed {
            others.hear_of(lane);
        }
        let is_old =
            |others: &Others, lane: &Lane| others.newest.get(&lane.origin).is_some_and(|newest| lane.epoch < *newest);
        let epochs = if claimed.iter().any(|(_, _, lane)| is_old(&others, lane)) {
            Some(epochs_of(lanes, &referenced()))
        } else {
            None
        };
        let mut advanced = Vec::new();
        for (id, seq, lane) in claimed {
            // An own lane advances with own keeps alone: a peer knows less of it than this node.
            let is_own = self.own.iter().any(|own| own.id == id);
            let is_forgotten = is_old(&others, &lane)
                && epochs.as_ref().is_some_and(|epochs| !epochs.contains(&(Arc::clone(&lane.origin), lane.epoch)));
            if is_own {
                continue;
            }
            if is_forgotten {
                others.dormant.advance(id, seq);
                continue;
            }
            let seq = others.dormant.take(id).unwrap_or(0).max(seq);
            if others.vector.advance(id, seq) {
                advanced.push((id, seq));
            }
        }
        advanced
    }

    /// Forgets the epochs to which no record refers, except the newest of each node, and the oldest of a node with too many.
    pub(crate) fn sweep(&self, lanes: &Lanes, referenced: impl FnOnce() -> BTreeSet<LaneId>) {
        let mut others = self.others.lock();
        // Read under the lock: a claim that is merged meanwhile would refer to a record that came after the reading.
        let epochs = epochs_of(lanes, &referenced());
        let mut present = others.vector.clone();
        present.merge(&others.dormant);
        let present: Vec<(LaneId, u64, Lane)> =
            present.iter().filter_map(|(id, seq)| Some((id, seq, lanes.get(id)?))).collect();
        let mut of_origin: BTreeMap<&Arc<str>, BTreeSet<Epoch>> = BTreeMap::new();
        for (_, _, lane) in &present {
            of_origin.entry(&lane.origin).or_default().insert(lane.epoch);
        }
        for &(id, seq, ref lane) in &present {
            let is_newest = others.newest.get(&lane.origin).is_none_or(|newest| lane.epoch >= *newest);
            let is_referenced = epochs.contains(&(Arc::clone(&lane.origin), lane.epoch));
            let newer = of_origin[&lane.origin].range(lane.epoch..).count();
            others.vector.take(id);
            others.dormant.take(id);
            if newer <= EPOCHS_MAX {
                let vector = if is_newest || is_referenced { &mut others.vector } else { &mut others.dormant };
                vector.advance(id, seq);
            }
        }
    }

    /// Removes all lanes of other processes: nothing is known to be covered that this process did not keep.
    pub(crate) fn forget_others(&self) {
        let mut others = self.others.lock();
        // The dormant ones too, or the next claim over one of their lanes would bring back what is not covered any more.
        (others.vector, others.dormant) = (Vector::default(), Vector::default());
    }
}

impl OwnLane {
    /// Begins a keep in this lane. One at a time: the lane advances in the order of its numbers.
    #[inline]
    pub(crate) fn begin(&self) -> (Stamp, MutexGuard<'_, LaneWriter>) {
        let writer = self.writer.lock();
        (Stamp { lane: self.id, seq: writer.next }, writer)
    }

    /// Completes a keep that was applied, logged and queued for every link.
    #[inline]
    pub(crate) fn complete(&self, writer: &mut LaneWriter) {
        // Release: whoever reads the mark also sees the record in the outboxes.
        self.mark.store(writer.next, Ordering::Release);
        writer.next += 1;
    }
}

impl Others {
    fn hear_of(&mut self, lane: &Lane) {
        let newest = self.newest.entry(Arc::clone(&lane.origin)).or_insert(lane.epoch);
        *newest = lane.epoch.max(*newest);
    }
}

/// Numbers the lanes of a process.
fn own_lanes(lanes: &Lanes, origin: &Arc<str>, epoch: Epoch, count: usize) -> Box<[OwnLane]> {
    let own = |worker: usize| {
        let worker = u16::try_from(worker).unwrap_or(u16::MAX);
        let id = lanes.id(&Lane { origin: Arc::clone(origin), epoch, worker }).unwrap_or(LaneId(0));
        let writer = Mutex::new(LaneWriter { next: 1, encoded: Vec::new() });
        OwnLane { id, writer, mark: AtomicU64::new(0) }
    };
    (0..count).map(own).collect()
}

fn epochs_of(lanes: &Lanes, referenced: &BTreeSet<LaneId>) -> BTreeSet<(Arc<str>, Epoch)> {
    referenced.iter().filter_map(|&id| lanes.get(id)).map(|lane| (lane.origin, lane.epoch)).collect()
}

/// Epochs of one node in a vector. A node that starts more often while records of its earlier starts stay in use has them sent again
/// when a link comes up.
const EPOCHS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: coverage that is forgotten does not come back with a later claim. Method: a claim over an epoch that is not in use, all
    /// coverage forgotten, and a lower claim over the same epoch once a record refers to it.
    #[test]
    fn forgotten_coverage_of_an_epoch_that_is_not_in_use_stays_forgotten() {
        let lanes = Lanes::default();
        let coverage = Coverage::new(&lanes, "Riley", Epoch::default(), 1);
        let lane = |started_ms| {
            let epoch = Epoch { started_ms, random: 1 };
            lanes.id(&Lane { origin: "Jaquez".into(), epoch, worker: 0 }).unwrap()
        };
        let (old, new) = (lane(1), lane(2));
        coverage.merge(&lanes, [(new, 1), (old, 9)].into_iter(), BTreeSet::new);
        assert_eq!((coverage.read().get(old), coverage.read().get(new)), (None, Some(1)));
        coverage.forget_others();
        coverage.merge(&lanes, [(new, 1), (old, 3)].into_iter(), || BTreeSet::from([old]));
        assert_eq!(coverage.read().get(old), Some(3));
    }

    fn riley(started_ms: u64) -> Lane {
        Lane { origin: "Riley".into(), epoch: Epoch { started_ms, random: 1 }, worker: 0 }
    }

    #[test]
    fn workers_share_lanes_beside_that_of_operators() {
        let lanes = Lanes::default();
        let coverage = Coverage::new(&lanes, "Riley", Epoch::default(), 3);
        let of_workers: Vec<_> = (0..7).map(|worker| coverage.lane_of(worker).id.0).collect();
        assert_eq!((of_workers, coverage.operators().id), (vec![0, 1, 2, 0, 1, 2, 0], LaneId(3)));
        let (stamp, mut writer) = coverage.lane_of(1).begin();
        coverage.lane_of(1).complete(&mut writer);
        drop(writer);
        let marks: Vec<_> = coverage.own_marks().iter().filter(|(_, seq)| *seq > 0).collect();
        assert_eq!(marks, [(stamp.lane, 1)]);
    }

    #[test]
    fn epoch_of_a_clock_that_was_set_back_outlives_the_earlier_ones() {
        let lanes = Lanes::default();
        let mut coverage = Coverage::new(&lanes, "Riley", riley(5).epoch, 1);
        let (before, mut writer) = coverage.lane_of(0).begin();
        coverage.lane_of(0).complete(&mut writer);
        drop(writer);
        // Neither a later epoch of another node nor an earlier one of this node matters.
        lanes.id(&Lane { origin: "Jaquez".into(), ..riley(99) });
        lanes.id(&riley(4));
        coverage.outlive_earlier_epochs(&lanes);
        assert_eq!(coverage.lane_of(0).id, before.lane);
        lanes.id(&riley(9));
        coverage.outlive_earlier_epochs(&lanes);
        let now = lanes.get(coverage.lane_of(0).id).unwrap();
        assert_eq!((&*now.origin, now.epoch.started_ms), ("Riley", 10));
        assert!(coverage.read().covers(before), "what was kept before stays covered");
        assert_eq!(coverage.read().iter().filter(|(_, seq)| *seq > 0).count(), 1);
    }

    #[test]
    fn old_epochs_that_nothing_refers_to_are_swept_and_so_are_the_oldest_of_too_many() {
        let lanes = Lanes::default();
        let coverage = Coverage::new(&lanes, "Jaquez", Epoch::default(), 1);
        let ids: Vec<_> = (0..=EPOCHS_MAX as u64).map(|started_ms| lanes.id(&riley(started_ms)).unwrap()).collect();
        let all = || ids.iter().copied().collect::<BTreeSet<_>>();
        coverage.merge(&lanes, ids.iter().map(|id| (*id, 7)), all);
        let covered = || ids.iter().filter(|id| coverage.read().get(**id).is_some()).count();
        assert_eq!(covered(), EPOCHS_MAX + 1);
        coverage.sweep(&lanes, all);
        assert_eq!((covered(), coverage.read().get(ids[0])), (EPOCHS_MAX, None));
        coverage.sweep(&lanes, || BTreeSet::from([ids[3]]));
        assert_eq!((covered(), coverage.read().get(ids[3])), (2, Some(7)));
        coverage.sweep(&lanes, || BTreeSet::from([ids[3], ids[4]]));
        assert_eq!(covered(), 3, "it was dormant");
    }
}
