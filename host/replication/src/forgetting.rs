//! Removal of records: at their boundary, by an operator who discards what a generation kept, and after a long absence.
//!
//! A forgotten key leaves a tombstone until its boundary. A node that heard of no peer for as long as tombstones are kept may hold keys
//! that were forgotten meanwhile and whose tombstones are gone. So when it meets a peer that was not away, it drops what that peer
//! covers, and takes it from there. What the peer does not cover stays: nothing is dropped that nobody else has. Nodes that
//! were away together, because the herd was off, drop nothing.
//!
//! Every change is made shard by shard. Knows nothing of clocks. Bounds: keys of one shard in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;

use herd_model::Kept;

use crate::journal::JournalKind;
use crate::lanes::Lane;
use crate::link_frame::encode_seqs;
use crate::node_marks::NodeMarks;
use crate::quarantined::Quarantined;
use crate::replica::{Replica, TO_ALL};
use crate::shard::OfferedBy;
use crate::stamp::{Epoch, LaneId};
use crate::vector::Vector;
use crate::wire_report::WireReport;

/// Result of discarding what a node had kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// Keys that were forgotten.
    pub forgotten: usize,
    /// Keys that were not, because the log could not be written.
    pub refused: usize,
}

/// Result of a return after a long absence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejoined {
    /// Records that the peer covers, and that were dropped.
    pub(crate) dropped: usize,
    /// Records that it does not cover, and that have new stamps.
    pub(crate) kept: usize,
}

impl Replica {
    /// Removes the records and tombstones that have reached their boundary, and returns their number. `now_s` is the time in seconds
    /// since the Unix epoch; guests are not shown what has expired by then. Called once a minute or so.
    pub fn expire(&self, now_s: u64) -> usize {
        self.table().set_now(now_s);
        (0..self.table().shards()).map(|shard| self.table().remove_expired(shard)).sum()
    }

    /// Forgets the keys whose record this node kept since one moment, and not after another. Their tombstones expire at `expires_at`, in
    /// seconds since the Unix epoch. `after_shard` is called after each shard: it has the log written, which takes only so much at once.
    ///
    /// What came from a peer stays, because that node forgets it, and so does what an operator restored. To repeat this changes nothing,
    /// unless it was refused in part.
    pub fn discard_since(
        &self,
        since: &NodeMarks,
        until: &NodeMarks,
        expires_at: u64,
        mut after_shard: impl FnMut(),
    ) -> Discarded {
        let own: BTreeMap<LaneId, Lane> = self.own_lanes().collect();
        let is_new = |report: &WireReport<'_>| {
            let Some(lane) = own.get(&report.head.stamp.lane).filter(|_| !report.head.tombstone) else { return false };
            // No client reported what is in the lane of operators: it was restored, or stood behind damage in the log.
            let of_its_process = if lane.epoch == since.epoch { since } else { until };
            let seq = report.head.stamp.seq;
            !of_its_process.is_of_operators(lane) && !since.include(lane, seq) && until.include(lane, seq)
        };
        let mut discarded = Discarded::default();
        for shard in 0..self.table().shards() {
            // A set: a report that leaves quarantine meanwhile is visited twice.
            let mut keys: BTreeSet<Vec<u8>> = BTreeSet::new();
            self.table().visit_winners(shard, |winner, below| {
                if is_new(&winner) || below.is_some_and(|below| is_new(&below)) {
                    keys.insert(winner.key.to_vec());
                }
            });
            // Behind the lock of the shard, which a keep takes again.
            for key in keys {
                match self.forget(&key, expires_at).kept {
                    Kept::Applied(_) => discarded.forgotten += 1,
                    Kept::NotStored => discarded.refused += 1,
                    _ => {}
                }
            }
            after_shard();
        }
        discarded
    }

    /// Notes in the log that a link is up at this time, in seconds since the Unix epoch; or, if none is, and none was for longer than
    /// tombstones are kept (`keep_s`), that the node is absent. Called once a minute or so, and at the start.
    pub fn note_contact(&self, now_s: u64, keep_s: u64) {
        let is_linked = self.links().iter().any(|port| port.counts.greeted.load(Relaxed));
        let mut contact = self.contact().lock();
        if !is_linked {
            return contact.alone(now_s, keep_s);
        }
        contact.linked(now_s);
        if contact.absent_since_s().is_none() {
            let payload = contact.payload();
            drop(contact);
            self.append(JournalKind::Contact, &payload);
        }
    }

    /// Returns the time since which the node had no link, in seconds since the Unix epoch, if that is longer than tombstones are kept. The
    /// first peer that was not away as well has it drop what the peer covers.
    #[must_use]
    pub fn absent_since_s(&self) -> Option<u64> {
        self.contact().lock().absent_since_s()
    }

    /// Returns the time at which a link was last up, in seconds since the Unix epoch, if one ever was.
    #[must_use]
    pub fn contact_s(&self) -> Option<u64> {
        self.contact().lock().at_s()
    }

    /// Drops what a peer covers, and all that is known to be covered, if this node was absent and the peer was not. All links, also that
    /// to this peer, are to begin anew then.
    ///
    /// A process that was absent while it ran drops records of its own lanes too. They come back by the next proof, because a node always covers
    /// its own lanes.
    pub(crate) fn rejoin(&self, peer: &Vector, peer_contact_s: u64) -> Option<Rejoined> {
        let mut contact = self.contact().lock();
        let since_s = contact.absent_since_s()?;
        if !contact.end_absence(peer_contact_s) {
            return None;
        }
        drop(contact);
        let own: BTreeSet<LaneId> = self.own_marks().iter().map(|(lane, _)| lane).collect();
        // What a process kept that began in the absence is too young to have been forgotten without a tombstone.
        let is_of_absence = self.node_marks().epoch.started_ms / 1000 > since_s;
        let covered = peer.iter().filter(|(lane, _)| !is_of_absence || !own.contains(lane)).collect();
        let dropped = self.begin_incarnation(|| {
            let mut payload = Vec::new();
            encode_seqs(&mut payload, Vector::iter(&covered));
            self.append(JournalKind::Rejoin, &payload);
            self.drop_covered(&covered)
        });
        let mut kept = 0;
        for shard in 0..self.table().shards() {
            let mut stays: Vec<Quarantined> = Vec::new();
            self.table().visit(shard, |report, is_quarantined| {
                if !is_quarantined && !own.contains(&report.head.stamp.lane) {
                    stays.push(Quarantined::from(&report));
                }
            });
            for report in &stays {
                // A new stamp, in a lane that this node covers: the lanes of its earlier processes are dropped.
                let keeping = self.keep_own(self.coverage().operators(), 0, report.wire(), OfferedBy::Release, TO_ALL);
                kept += usize::from(matches!(keeping.kept, Kept::Applied(_)));
            }
            self.flush();
        }
        Some(Rejoined { dropped, kept })
    }

    /// Removes the records that a peer covers, and forgets what was covered. Returns the number of the records.
    ///
    /// A vector does not name an epoch of which the peer has no record left, if that node has begun a later one. The peer covered it all the same:
    /// a link claims nothing of a later epoch before it has sent what is left of the earlier ones.
    pub(crate) fn drop_covered(&self, peer: &Vector) -> usize {
        self.coverage().forget_others();
        let lanes: BTreeMap<LaneId, Lane> = self.lanes().since(0).into_iter().collect();
        let mut newest: BTreeMap<&str, Epoch> = BTreeMap::new();
        for lane in peer.iter().filter_map(|(id, _)| lanes.get(&id)) {
            let newest = newest.entry(&lane.origin).or_insert(lane.epoch);
            *newest = lane.epoch.max(*newest);
        }
        let is_left = |id: LaneId| {
            let Some(lane) = lanes.get(&id) else { return false };
            peer.get(id).is_none() && newest.get(&*lane.origin).is_some_and(|newest| lane.epoch < *newest)
        };
        let is_covered = |report: &WireReport<'_>, _: bool| {
            let stamp = report.head.stamp;
            peer.covers(stamp) || is_left(stamp.lane)
        };
        (0..self.table().shards()).map(|shard| self.table().remove(shard, is_covered)).sum()
    }

    /// Returns the lanes of this node, also of its earlier processes.
    fn own_lanes(&self) -> impl Iterator<Item = (LaneId, Lane)> {
        self.lanes().since(0).into_iter().filter(|(_, lane)| *lane.origin == *self.node())
    }
}
