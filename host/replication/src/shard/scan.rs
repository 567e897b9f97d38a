//! Scan of a shard in runs: everything that it keeps, a bounded part at a time.
//!
//! The lock of the shard is held for a run, so records come and go between two of them. Quarantined reports come first, in the order of
//! their keys: a report leaves quarantine only for the visible records, which are then still to come. A scan therefore visits whatever
//! the shard kept before its first run and keeps to its last, or the record that replaced it.
//!
//! A report that is released between two runs is visited twice, and what came meanwhile may be visited or not. Whoever needs that too
//! takes it from the log, the outbox or the mark of changes, which a keep writes in one step with the record.
//!
//! Knows nothing of locks. Bounds: the cost of a run, which is [`RUN_COST`] but in tests.

use std::ops::Bound;

use super::{Shard, earlier};
use crate::entry::Entry;
use crate::entry_table::{Position, scan_cost};
use crate::quarantined::Quarantined;
use crate::usage::Usage;
use crate::vector::Vector;
use crate::wire_report::WireReport;

/// Position of a scan of a shard between two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ShardPosition {
    /// In the quarantined reports, behind this key. No key is empty, so the empty one is in front of all.
    Quarantined(Vec<u8>),
    /// In the visible records.
    Visible(Position),
}

/// Record that a scan visits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scanned<'a> {
    /// Quarantined report, with the readable record of its key.
    Quarantined(WireReport<'a>, Option<WireReport<'a>>),
    /// Visible record of a key that has no quarantined report.
    Winner(WireReport<'a>),
    /// Visible record below a quarantined report.
    Below(WireReport<'a>),
}

/// Outcome of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Position of the next run; `None` at the end of the shard.
    pub(crate) next: Option<ShardPosition>,
    /// Records that were read.
    pub(crate) visited: usize,
    /// The run is the first that reads the visible records of its shard for a resend.
    pub(crate) begins_reading: bool,
    cost: usize,
}

/// Removal of records under way.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    pub(crate) removed: usize,
    /// Earliest expiry among the records that stay; 0 if none expires.
    expires_from: u64,
}

impl Default for ShardPosition {
    fn default() -> Self {
        Self::Quarantined(Vec::new())
    }
}

impl<'a> Scanned<'a> {
    /// Returns the record that is visited, and whether it is quarantined.
    pub(crate) fn record(self) -> (WireReport<'a>, bool) {
        match self {
            Self::Quarantined(report, _) => (report, true),
            Self::Winner(record) | Self::Below(record) => (record, false),
        }
    }

    /// Returns what the node has kept under a key and its peers keep, and the readable record below if that is quarantined.
    pub(crate) fn winner(self) -> Option<(WireReport<'a>, Option<WireReport<'a>>)> {
        match self {
            Self::Quarantined(report, below) => Some((report, below)),
            Self::Winner(record) => Some((record, None)),
            Self::Below(_) => None,
        }
    }
}

impl Shard {
    /// Calls `each` with the records from a position on, until they cost `cost_max`: one for each record and for each KiB of it.
    pub(crate) fn scan<'a>(
        &'a self,
        from: &ShardPosition,
        cost_max: usize,
        hash: impl Fn(&[u8]) -> u64,
        mut each: impl FnMut(Scanned<'a>),
    ) -> Run {
        let mut run = Run::default();
        let scanned = |report: &'a Quarantined| {
            each(Scanned::Quarantined(report.wire(), self.get(hash(&report.key), &report.key).map(Entry::wire)));
        };
        if self.scan_quarantined(from, cost_max, &mut run, scanned) {
            self.scan_visible(from, cost_max, &mut run, &hash, |entry| {
                let is_below = self.above(entry.key()).is_some();
                each(if is_below { Scanned::Below(entry.wire()) } else { Scanned::Winner(entry.wire()) });
            });
        }
        run
    }

    /// Calls `each` with everything from a position on that a peer of this vector lacks, as [`scan`](Self::scan) does. A quarantined report
    /// comes behind the readable record of its key, so that nodes that refuse the report answer alike.
    ///
    /// Instead of the visible records it reads the ring of recent stamps, if that suffices.
    pub(crate) fn scan_beyond<'a>(
        &'a self,
        peer: &Vector,
        from: &ShardPosition,
        cost_max: usize,
        hash: impl Fn(&[u8]) -> u64,
        mut each: impl FnMut(WireReport<'a>, Option<WireReport<'a>>),
    ) -> Run {
        let mut run = Run::default();
        let is_through = self.scan_quarantined(from, cost_max, &mut run, |report| {
            if peer.covers(report.head.stamp) {
                return;
            }
            match self.get(hash(&report.key), &report.key) {
                Some(below) => each(below.wire(), Some(report.wire())),
                None => each(report.wire(), None),
            }
        });
        if !is_through {
            return run;
        }
        let begins = !matches!(from, ShardPosition::Visible(from) if *from != Position::default());
        // Records below a quarantined report are sent here too. If the report came since its place was passed, it waits in the outbox,
        // and the peer may be told that it covers the record before that is sent.
        if begins && let Some(recent) = self.recent.beyond(peer, &self.lanes) {
            for (stamp, hash) in recent {
                // By stamp: the key may have a newer record since, which has a place of its own in the ring.
                if let Some(entry) = self.find(hash, |entry| entry.head().stamp == stamp) {
                    each(entry.wire(), None);
                }
            }
            run.next = None;
            return run;
        }
        run.begins_reading = begins;
        self.scan_visible(from, cost_max, &mut run, &hash, |entry| {
            if !peer.covers(entry.head().stamp) {
                each(entry.wire(), None);
            }
        });
        run
    }

    /// Removes the records from a position on that `is_doomed` names by their wire form and whether they are quarantined, until those that
    /// were read cost `cost_max`. [`begin_removal`](Self::begin_removal) comes before the first run, and
    /// [`end_removal`](Self::end_removal) after the last.
    pub(crate) fn remove_run(
        &mut self,
        from: &ShardPosition,
        cost_max: usize,
        usage: &Usage,
        hash: impl Fn(&[u8]) -> u64,
        mut is_doomed: impl FnMut(&WireReport<'_>, bool) -> bool,
        removal: &mut Removal,
    ) -> Option<ShardPosition> {
        let mut doomed: Vec<(Vec<u8>, bool)> = Vec::new();
        let run = self.scan(from, cost_max, &hash, |scanned| {
            let (report, is_quarantined) = scanned.record();
            if is_doomed(&report, is_quarantined) {
                doomed.push((report.key.to_vec(), is_quarantined));
            } else {
                removal.expires_from = earlier(removal.expires_from, report.head.expires_at);
            }
        });
        for (key, is_quarantined) in &doomed {
            if *is_quarantined {
                if let Some(report) = self.quarantined.remove(key) {
                    self.lanes.remove(report.head.stamp.lane);
                }
                continue;
            }
            let hash_of_key = hash(key);
            let Some(place) = self.visible.find(hash_of_key, |entry| entry.key() == key) else { continue };
            let entry = self.visible.get(place);
            self.forms.remove(entry.counted_form());
            self.lanes.remove(entry.head().stamp.lane);
            usage.remove(entry.len());
            self.visible.remove(hash_of_key, place, |entry| hash(entry.key()));
        }
        if !doomed.is_empty() {
            *self.dirty.get_mut() = true;
        }
        removal.removed += doomed.len();
        run.next
    }

    /// Begins to find the earliest expiry anew: records that are put from now on note their own.
    pub(crate) fn begin_removal(&mut self) -> Removal {
        self.expires_from = 0;
        Removal::default()
    }

    /// Notes the earliest expiry that the runs of a removal found, and returns the number of records that they removed.
    pub(crate) fn end_removal(&mut self, removal: &Removal) -> usize {
        self.expires_from = earlier(self.expires_from, removal.expires_from);
        removal.removed
    }

    /// Goes on with the quarantined reports, and returns whether all of them were visited. If not, the run ends here.
    fn scan_quarantined<'a>(
        &'a self,
        from: &ShardPosition,
        cost_max: usize,
        run: &mut Run,
        mut each: impl FnMut(&'a Quarantined),
    ) -> bool {
        let ShardPosition::Quarantined(after) = from else { return true };
        let mut last = after;
        for (key, report) in self.quarantined.range::<[u8], _>((Bound::Excluded(&after[..]), Bound::Unbounded)) {
            if run.cost >= cost_max {
                run.next = Some(ShardPosition::Quarantined(last.clone()));
                return false;
            }
            each(report);
            run.visited += 1;
            run.cost += scan_cost(key.len() + report.record.len());
            last = key;
        }
        true
    }

    /// Goes on with the visible records, as far as the cost of the run allows.
    fn scan_visible<'a>(
        &'a self,
        from: &ShardPosition,
        cost_max: usize,
        run: &mut Run,
        hash: impl Fn(&[u8]) -> u64,
        mut each: impl FnMut(Entry<'a>),
    ) {
        let from = match from {
            ShardPosition::Visible(from) => *from,
            ShardPosition::Quarantined(_) => Position::default(),
        };
        let left = cost_max.saturating_sub(run.cost);
        let next = self.visible.scan(
            from,
            left,
            |entry| hash(entry.key()),
            |entry| {
                each(entry);
                run.visited += 1;
            },
        );
        run.next = next.map(ShardPosition::Visible);
    }
}

/// Cost of a run: so many records, or fewer with more than a KiB each. Copying or hashing so many takes some 20 to 50 µs.
pub(crate) const RUN_COST: usize = if cfg!(all(shuttle, test)) { 2 } else { 128 };
