//! Shard of a record table: the records of some of the keys, behind one lock.
//!
//! Owns the comparison that decides which record a key keeps. Knows nothing of hashing, of other shards and of locks;
//! the table passes the hash of each key. Bounds: those of [`Usage`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use herd_model::{Kept, Reign};

use crate::bucket::BucketBytes;
use crate::entry::{Entry, NewEntry};
use crate::entry_table::EntryTable;
use crate::form_counts::FormCounts;
use crate::lane_counts::LaneCounts;
use crate::memory::Memory;
use crate::quarantined::Quarantined;
use crate::rank::{Rank, Standing};
use crate::recent::Recent;
use crate::stamp::{LaneId, Stamp};
use crate::sync::AtomicBool;
use crate::usage::Usage;
use crate::wire_report::{Head, REIGN_MAX, WireReport};

mod scan;

pub(crate) use scan::{RUN_COST, Run, Scanned, ShardPosition};

/// Records of some of the keys.
pub(super) struct Shard {
    /// Records that guests may read, one per key.
    visible: EntryTable,
    /// Quarantined reports by key. Each one ranks higher than the visible record of its key, if there is one. Rare, so
    /// an entry has no room for it; ordered, so that the order in which they are offered again needs no hash key.
    quarantined: BTreeMap<Vec<u8>, Quarantined>,
    /// Visible records by form.
    forms: FormCounts,
    /// Visible records and quarantined reports by lane.
    lanes: LaneCounts,
    recent: Recent,
    /// A record was applied or removed since the mark was taken.
    dirty: AtomicBool,
    /// Earliest expiry among the records, or earlier; 0 if none expires.
    expires_from: u64,
}

/// A record that is offered to a shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) key: &'a [u8],
    pub(super) rank: Rank<'a>,
    pub(super) head: Head,
    pub(super) by: OfferedBy,
}

/// Source of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferedBy {
    /// A client of this node. The limits apply, and the record inherits the reign of its key.
    Client,
    /// A peer or the log.
    Peer,
    /// An operator who forgets the key. The reign is raised, so the offer always wins.
    Forget,
    /// A generation that takes a report which another one refused. It is the quarantined report of its key.
    Release,
}

/// Outcome of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) kept: Kept,
    /// Stamp of the record that is kept under the key and ranks as high or higher; that of the offer if it was applied.
    pub(crate) holder: Stamp,
}

/// Record that was applied, while the lock of its shard is held: what follows from it happens in one step with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied<'a> {
    pub(crate) reign: Reign,
    /// Quarantined report of the same key that ranks higher than the record.
    pub(crate) above: Option<&'a Quarantined>,
    /// Readable record of the same key that ranks lower than the report, if the report was quarantined.
    pub(crate) below: Option<WireReport<'a>>,
}

impl Shard {
    /// Creates an empty shard, whose records will lie in `memory`.
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self {
            visible: EntryTable::new(memory),
            quarantined: BTreeMap::new(),
            forms: FormCounts::default(),
            lanes: LaneCounts::default(),
            recent: Recent::default(),
            dirty: AtomicBool::new(false),
            expires_from: 0,
        }
    }

    /// Keeps a record if it wins, and then calls `applied`. `rehash` returns the hash of a key, for when the shard grows.
    pub(super) fn offer(
        &mut self,
        hash: u64,
        offer: Offer<'_>,
        usage: &Usage,
        rehash: impl Fn(&[u8]) -> u64,
        applied: impl FnOnce(Applied<'_>),
    ) -> Offered {
        let Offer { key, rank, head, by } = offer;
        // Usually nothing is quarantined, and then no key has to be compared.
        let above = if self.quarantined.is_empty() { None } else { self.quarantined.get(key) };
        // A record of a peer may rank between a quarantined report and the readable record, which it then replaces.
        let may_stay = matches!(by, OfferedBy::Peer | OfferedBy::Release);
        let stays = above.is_some_and(|above| may_stay && above.standing() > head.standing(rank));
        let rival = above.filter(|_| !stays).map(|above| (above.standing(), above.head.stamp));
        let outranked = |stamp| Offered { kept: Kept::Outranked, holder: stamp };
        let refused = Offered { kept: Kept::NoRoom, holder: head.stamp };
        let bytes = key.len() + rank.rank.len() + rank.record.len();
        let new = |rank| NewEntry { key, rank, head };
        let rehash = |entry: Entry<'_>| rehash(entry.key());
        let reign = match self.visible.find(hash, |entry| entry.key() == key) {
            Some(place) => {
                let entry = self.visible.get(place);
                let (highest, holder) = rival.unwrap_or_else(|| (entry.standing(), entry.head().stamp));
                let rank = by.inherit_reign(rank, Some(highest.rank));
                if !by.wins(head.standing(rank), highest) {
                    return outranked(holder);
                }
                let (old, old_form, old_lane) = (entry.len(), entry.counted_form(), entry.head().stamp.lane);
                if by == OfferedBy::Client && !usage.fits(0, bytes.saturating_sub(old)) {
                    return refused;
                }
                self.visible.replace(place, &new(rank), rehash);
                usage.resize(old, bytes);
                self.forms.change(old_form, head.counted_form(rank.form));
                self.lanes.change(old_lane, head.stamp.lane);
                rank.reign
            }
            None => {
                let rank = by.inherit_reign(rank, rival.map(|(highest, _)| highest.rank));
                if let Some((highest, holder)) = rival
                    && !by.wins(head.standing(rank), highest)
                {
                    return outranked(holder);
                }
                if by == OfferedBy::Client && !usage.fits(1, bytes) {
                    return refused;
                }
                self.visible.insert(hash, &new(rank), rehash);
                usage.add(bytes);
                self.forms.add(head.counted_form(rank.form));
                self.lanes.add(head.stamp.lane);
                rank.reign
            }
        };
        // The record won against the quarantined report too, which has no say any more.
        if rival.is_some()
            && let Some(outranked) = self.quarantined.remove(key)
        {
            self.lanes.remove(outranked.head.stamp.lane);
        }
        self.changed(head);
        self.recent.push(head.stamp, hash, &self.lanes);
        applied(Applied { reign, above: if stays { self.quarantined.get(key) } else { None }, below: None });
        Offered { kept: Kept::Applied(reign), holder: head.stamp }
    }

    /// Quarantines a report if it wins, and then calls `applied`. The visible record of its key stays readable.
    pub(super) fn quarantine(&mut self, hash: u64, report: Quarantined, applied: impl FnOnce(Applied<'_>)) -> Offered {
        if let Some((highest, holder)) = self.highest(hash, &report.key)
            && highest >= report.standing()
        {
            return Offered { kept: Kept::Outranked, holder };
        }
        let (reign, head, stamp) = (report.reign, report.head, report.head.stamp);
        self.lanes.add(stamp.lane);
        let below = self.get(hash, &report.key).map(Entry::wire);
        applied(Applied { reign, above: None, below });
        if let Some(outranked) = self.quarantined.insert(report.key.clone(), report) {
            self.lanes.remove(outranked.head.stamp.lane);
        }
        self.changed(head);
        self.recent.push(stamp, hash, &self.lanes);
        Offered { kept: Kept::Applied(reign), holder: stamp }
    }

    /// Returns the buckets of the visible records.
    #[inline]
    pub(super) fn buckets(&self) -> &[BucketBytes] {
        self.visible.buckets()
    }

    /// Prefetches the visible record of a key.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        self.visible.prefetch(hash);
    }

    /// Returns the visible record of a key.
    #[inline]
    pub(super) fn get(&self, hash: u64, key: &[u8]) -> Option<Entry<'_>> {
        self.find(hash, |entry| entry.key() == key)
    }

    /// Returns whether a report of a peer would be applied now.
    #[inline]
    pub(super) fn wins(&self, hash: u64, key: &[u8], standing: Standing<'_>) -> bool {
        match self.above(key) {
            Some(above) if standing >= above.standing() => standing > above.standing(),
            _ => self.get(hash, key).is_none_or(|entry| entry.standing() < standing),
        }
    }

    /// Returns the highest standing under a key, visible or quarantined, and the stamp of its record.
    #[inline]
    pub(super) fn highest(&self, hash: u64, key: &[u8]) -> Option<(Standing<'_>, Stamp)> {
        let quarantined = self.above(key).map(|report| (report.standing(), report.head.stamp));
        quarantined.or_else(|| self.get(hash, key).map(|entry| (entry.standing(), entry.head().stamp)))
    }

    /// Returns the record that is kept under a key, and whether it is quarantined.
    pub(super) fn winner(&self, hash: u64, key: &[u8]) -> Option<(WireReport<'_>, bool)> {
        let quarantined = self.above(key).map(|report| (report.wire(), true));
        quarantined.or_else(|| self.get(hash, key).map(|entry| (entry.wire(), false)))
    }

    /// Clears the mark that a record was applied or removed, and returns whether it was set.
    pub(super) fn take_dirty(&self) -> bool {
        // The lock of the shard orders this with the changes.
        self.dirty.swap(false, Ordering::Relaxed)
    }

    /// Returns a time before which no record expires; 0 if none does.
    pub(super) fn expires_from(&self) -> u64 {
        self.expires_from
    }

    /// Returns the number of visible records of each form.
    pub(super) fn forms(&self) -> impl Iterator<Item = (u32, usize)> {
        self.forms.iter()
    }

    /// Returns the lanes to whose stamps what is kept refers. A readable record below a quarantined report does not count: it is at
    /// some nodes only, and nodes have to agree about the lanes that they forget.
    pub(super) fn lanes(&self, hash: impl Fn(&[u8]) -> u64) -> impl Iterator<Item = LaneId> {
        let mut outranked = LaneCounts::default();
        for key in self.quarantined.keys() {
            if let Some(below) = self.get(hash(key), key) {
                outranked.add(below.head().stamp.lane);
            }
        }
        self.lanes.lanes_beyond(outranked)
    }

    /// Returns the number of quarantined reports.
    pub(super) fn quarantined_len(&self) -> usize {
        self.quarantined.len()
    }

    #[inline]
    fn find(&self, hash: u64, is: impl Fn(Entry<'_>) -> bool) -> Option<Entry<'_>> {
        self.visible.find(hash, is).map(|place| self.visible.get(place))
    }

    /// Returns the quarantined report of a key. Usually nothing is quarantined, and then no key has to be compared.
    #[inline]
    fn above(&self, key: &[u8]) -> Option<&Quarantined> {
        if self.quarantined.is_empty() { None } else { self.quarantined.get(key) }
    }

    /// Notes that a record of this head was applied.
    #[inline]
    fn changed(&mut self, head: Head) {
        *self.dirty.get_mut() = true;
        if head.expires_at != 0 {
            self.expires_from = earlier(self.expires_from, head.expires_at);
        }
    }
}

impl OfferedBy {
    /// Returns the rank to compare. A guest never sees a reign, so a client's record gets that of its key.
    fn inherit_reign<'a>(self, rank: Rank<'a>, highest: Option<Rank<'_>>) -> Rank<'a> {
        let present = highest.map_or(Reign(0), |highest| highest.reign);
        match self {
            Self::Client => Rank { reign: present, ..rank },
            Self::Forget => Rank { reign: Reign((present.0 + 1).min(REIGN_MAX)), ..rank },
            Self::Peer | Self::Release => rank,
        }
    }

    /// Returns whether a record replaces the one of this rank. Equal is a duplicate: calling it outranked is what ends a flood. Only a
    /// release is of the quarantined report itself.
    fn wins(self, offered: Standing<'_>, highest: Standing<'_>) -> bool {
        if self == Self::Release { offered >= highest } else { offered > highest }
    }
}

/// Returns the earlier of two times of expiry, of which 0 is never.
fn earlier(left: u64, right: u64) -> u64 {
    if left == 0 || (right != 0 && right < left) { right } else { left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_expiry_is_never_that_of_what_does_not_expire() {
        for (left, right, expected) in [(0, 0, 0), (0, 5, 5), (5, 0, 5), (5, 3, 3), (3, 5, 3), (5, 5, 5)] {
            assert_eq!(earlier(left, right), expected, "{left} and {right}");
        }
    }
}
