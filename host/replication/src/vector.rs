//! Version vector: up to which sequence number of each lane a node covers all stamps.
//!
//! Dense by lane number, because lanes are few, are numbered in sequence, and vectors are compared at every turn of a link.
//! Knows nothing of what lanes stand for. Bounds: 8 bytes per lane.

use crate::stamp::{LaneId, Stamp};

/// Highest covered sequence number by lane.
///
/// A lane may be present with 0: its epoch is known, and no keep of it is covered.
///
/// ```rust
/// use herd_replication::{LaneId, Stamp, Vector};
///
/// let mut vector = Vector::default();
/// assert!(vector.advance(LaneId(3), 7));
/// assert!(vector.covers(Stamp { lane: LaneId(3), seq: 7 }));
/// assert!(!vector.covers(Stamp { lane: LaneId(3), seq: 8 }));
/// assert!(!vector.covers(Stamp { lane: LaneId(0), seq: 1 }));
/// // A vector never goes back.
/// assert!(!vector.advance(LaneId(3), 6));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Vector(
    /// Sequence number plus one; 0 for a lane that is absent.
    Vec<u64>,
);

impl Vector {
    /// Returns whether all keeps of the lane up to this stamp are covered.
    #[inline]
    #[must_use]
    pub fn covers(&self, stamp: Stamp) -> bool {
        self.0.get(stamp.lane.0 as usize).is_some_and(|&next| next > stamp.seq)
    }

    /// Returns the highest covered sequence number of a lane, or `None` if the lane is absent.
    #[must_use]
    pub fn get(&self, lane: LaneId) -> Option<u64> {
        self.0.get(lane.0 as usize)?.checked_sub(1)
    }

    /// Raises a lane to `seq` and returns whether that changed the vector.
    pub fn advance(&mut self, lane: LaneId, seq: u64) -> bool {
        let index = lane.0 as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, 0);
        }
        let changed = self.0[index] <= seq;
        if changed {
            self.0[index] = seq + 1;
        }
        changed
    }

    /// Raises every lane to that of another vector and returns whether anything changed.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (lane, seq) in other.iter() {
            changed |= self.advance(lane, seq);
        }
        changed
    }

    /// Removes a lane and returns its sequence number.
    pub(crate) fn take(&mut self, lane: LaneId) -> Option<u64> {
        std::mem::take(self.0.get_mut(lane.0 as usize)?).checked_sub(1)
    }

    /// Iterates over the lanes that are present.
    pub fn iter(&self) -> impl Iterator<Item = (LaneId, u64)> + '_ {
        let present = |(index, &next): (usize, &u64)| {
            let seq = next.checked_sub(1)?;
            Some((LaneId(u32::try_from(index).ok()?), seq))
        };
        self.0.iter().enumerate().filter_map(present)
    }

    /// Iterates over the lanes in which this vector is beyond another one.
    pub fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (LaneId, u64)> + 'a {
        self.iter().filter(|&(lane, seq)| other.get(lane).is_none_or(|known| known < seq))
    }

    /// Returns the number of keeps by which this vector is beyond another one, over all lanes.
    #[must_use]
    pub fn lead(&self, other: &Self) -> u64 {
        self.beyond(other).map(|(lane, seq)| seq - other.get(lane).unwrap_or(0)).sum()
    }
}

impl PartialEq for Vector {
    fn eq(&self, other: &Self) -> bool {
        // Absent lanes at the end make no difference.
        self.iter().eq(other.iter())
    }
}

impl Eq for Vector {}

impl FromIterator<(LaneId, u64)> for Vector {
    fn from_iter<I: IntoIterator<Item = (LaneId, u64)>>(lanes: I) -> Self {
        let mut vector = Self::default();
        for (lane, seq) in lanes {
            vector.advance(lane, seq);
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(lanes: &[(u32, u64)]) -> Vector {
        lanes.iter().map(|&(lane, seq)| (LaneId(lane), seq)).collect()
    }

    #[test]
    fn vector_merges_lane_by_lane_and_never_goes_back() {
        let mut merged = vector(&[(0, 5), (2, 1)]);
        assert!(merged.merge(&vector(&[(0, 3), (2, 4), (7, 0)])));
        assert_eq!(merged, vector(&[(0, 5), (2, 4), (7, 0)]));
        assert!(!merged.merge(&vector(&[(2, 4), (7, 0)])));
        assert_eq!(merged.get(LaneId(1)), None);
        assert_eq!(merged.take(LaneId(7)), Some(0));
        assert_eq!(merged, vector(&[(0, 5), (2, 4)]), "an absent lane at the end makes no difference");
        assert_ne!(merged, vector(&[(0, 5), (2, 5)]));
        assert_ne!(merged, vector(&[(0, 5)]));
    }

    #[test]
    fn vector_leads_by_the_keeps_that_another_one_lacks() {
        let (left, right) = (vector(&[(0, 5), (1, 9), (3, 0)]), vector(&[(0, 7), (1, 6)]));
        assert_eq!(left.beyond(&right).collect::<Vec<_>>(), [(LaneId(1), 9), (LaneId(3), 0)]);
        assert_eq!((left.lead(&right), right.lead(&left), left.lead(&left)), (3, 2, 0));
    }
}
