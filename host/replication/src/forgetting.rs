//! Removal of records: at their boundary, by an operator who discards what a generation kept, and after a long absence.
//!
//! A forgotten key leaves a tombstone until its boundary. A node that heard of no peer for as long as tombstones are kept may hold keys
//! that were forgotten meanwhile and whose tombstones are gone. When it comes back it keeps only what no peer had covered; the rest
//! comes from the peers.
//!
//! Every change is made shard by shard. Knows nothing of clocks. Bounds: keys of one shard in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;

use herd_model::Kept;

use crate::journal::JournalKind;
use crate::lanes::Lane;
use crate::node_marks::NodeMarks;
use crate::quarantined::Quarantined;
use crate::replica::{Replica, TO_ALL};
use crate::shard::OfferedBy;
use crate::stamp::LaneId;
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
pub struct Rejoined {
    /// Records that a peer had covered, and that were dropped.
    pub dropped: usize,
    /// Records that no peer had covered, and that are sent to the peers again.
    pub kept: usize,
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

    /// Notes in the log that a link was up at this time, in seconds since the Unix epoch, and what peers have acknowledged of this node's
    /// keeps. Does nothing while no link is up. Called once a minute or so.
    pub fn note_contact(&self, now_s: u64) {
        let links = self.links();
        if !links.iter().any(|port| port.counts.greeted.load(Relaxed)) {
            return;
        }
        let mut contact = self.contact().lock();
        links.iter().for_each(|port| self.acknowledged_by(&port.acked.lock(), &mut contact.acknowledged));
        contact.at_s = now_s;
        let payload = contact.payload();
        drop(contact);
        self.append(JournalKind::Contact, &payload);
    }

    /// Drops what a peer had covered, and all that is known to be covered. For a node whose last contact
    /// ([`Recovered::last_contact_s`](crate::Recovered::last_contact_s)) is longer ago than tombstones are kept. Must come before the
    /// first keep and the first link.
    pub fn rejoin(&mut self) -> Rejoined {
        self.append(JournalKind::Rejoin, &[]);
        let dropped = self.drop_covered();
        let mut kept = 0;
        for shard in 0..self.table().shards() {
            let mut stays: Vec<Quarantined> = Vec::new();
            self.table().visit(shard, |report, _| stays.push(Quarantined::from(&report)));
            for report in &stays {
                // A new stamp, in a lane that this node covers: the lanes of its earlier processes are dropped.
                let keeping = self.keep_own(self.coverage().operators(), 0, report.wire(), OfferedBy::Release, TO_ALL);
                kept += usize::from(matches!(keeping.kept, Kept::Applied(_)));
            }
        }
        Rejoined { dropped, kept }
    }

    /// Removes the records that a peer had covered, and forgets what was covered. Returns the number of the records.
    pub(crate) fn drop_covered(&self) -> usize {
        let own: BTreeSet<LaneId> = self.own_lanes().map(|(id, _)| id).collect();
        let acknowledged = self.contact().lock().acknowledged.clone();
        self.coverage().forget_others();
        let had_peer = |report: &WireReport<'_>, is_quarantined: bool| {
            // What came from a peer was covered by it.
            is_quarantined || !own.contains(&report.head.stamp.lane) || acknowledged.covers(report.head.stamp)
        };
        (0..self.table().shards()).map(|shard| self.table().remove(shard, had_peer)).sum()
    }

    /// Adds what a peer has acknowledged of this node's lanes.
    pub(crate) fn acknowledged_by(&self, acked: &Vector, acknowledged: &mut Vector) {
        for (lane, seq) in acked.iter().filter(|&(lane, _)| *self.lanes().origin(lane) == *self.node()) {
            acknowledged.advance(lane, seq);
        }
    }

    /// Returns the lanes of this node, also of its earlier processes.
    fn own_lanes(&self) -> impl Iterator<Item = (LaneId, Lane)> {
        self.lanes().since(0).into_iter().filter(|(_, lane)| *lane.origin == *self.node())
    }
}
