//! Number of records that carry a stamp of each lane, in one shard.
//!
//! A lane to which no record refers any more can be forgotten. Locked with its shard. A record that replaces one of its lane, which is
//! the usual case, costs one comparison. Bounds: one entry per lane of which the shard holds a record.

use std::collections::BTreeMap;

use crate::stamp::LaneId;

/// Counts records by lane.
#[derive(Debug, Default)]
pub(super) struct LaneCounts(BTreeMap<LaneId, usize>);

impl LaneCounts {
    /// Counts a new record.
    #[inline]
    pub(super) fn add(&mut self, lane: LaneId) {
        *self.0.entry(lane).or_default() += 1;
    }

    /// Counts the removal of a record.
    pub(super) fn remove(&mut self, lane: LaneId) {
        if let Some(count) = self.0.get_mut(&lane) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&lane);
            }
        }
    }

    /// Counts the replacement of a record by one of another lane.
    #[inline]
    pub(super) fn change(&mut self, old: LaneId, new: LaneId) {
        if old != new {
            self.remove(old);
            self.add(new);
        }
    }

    /// Returns whether any record carries a stamp of this lane.
    #[inline]
    pub(super) fn holds(&self, lane: LaneId) -> bool {
        self.0.contains_key(&lane)
    }

    /// Returns the lanes whose count is above that of `others`.
    pub(super) fn lanes_beyond(&self, others: Self) -> impl Iterator<Item = LaneId> {
        let is_beyond = move |(lane, count): &(&LaneId, &usize)| others.0.get(lane).is_none_or(|other| count > &other);
        self.0.iter().filter(is_beyond).map(|(lane, _)| *lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lane_counts_follow_records_that_come_change_and_go() {
        let (one, two) = (LaneId(1), LaneId(2));
        let mut counts = LaneCounts::default();
        counts.add(one);
        counts.add(one);
        counts.change(one, one);
        counts.change(one, two);
        assert!(counts.holds(one) && counts.holds(two));
        let beyond = |lanes: &[LaneId]| {
            let mut others = LaneCounts::default();
            lanes.iter().for_each(|lane| others.add(*lane));
            counts.lanes_beyond(others).collect::<Vec<_>>()
        };
        assert_eq!(beyond(&[]), [one, two]);
        assert_eq!(beyond(&[one]), [two]);
        assert_eq!(beyond(&[one, one, two]), []);
        counts.add(two);
        let mut others = LaneCounts::default();
        others.add(two);
        assert_eq!(counts.lanes_beyond(others).collect::<Vec<_>>(), [one, two], "two records against one");
        counts.remove(one);
        assert!(!counts.holds(one));
    }
}
