//! Recent stamps of a shard: what was applied last, to serve a peer that missed a moment without reading every record.
//!
//! A ring of stamps with the hashes of their keys, and a *floor*: per lane, the highest sequence number that the ring has
//! dropped. A peer whose vector reaches the floor lacks nothing that the ring does not have.
//!
//! Locked with its shard. Bounds: [`RECENT_MAX`] stamps; one floor per lane.

use std::collections::VecDeque;

use crate::lane_counts::LaneCounts;
use crate::stamp::{LaneId, Stamp};
use crate::vector::Vector;

/// Stamps that a shard applied last.
#[derive(Debug, Default)]
pub(super) struct Recent {
    ring: VecDeque<(Stamp, u64)>,
    /// Few lanes are active at a time, so a search from the front is short.
    floor: Vec<(LaneId, u64)>,
}

impl Recent {
    /// Adds the stamp of a record that was applied under the key of this hash. `held` counts the records of the shard.
    #[inline]
    pub(super) fn push(&mut self, stamp: Stamp, hash: u64, held: &LaneCounts) {
        if self.ring.len() == RECENT_MAX
            && let Some((dropped, _)) = self.ring.pop_front()
        {
            self.raise_floor(dropped, held);
        }
        self.ring.push_back((stamp, hash));
    }

    /// Returns the stamps that a peer of this vector does not cover, with the hashes of their keys, or `None` if the ring has dropped
    /// some of them.
    pub(super) fn beyond<'a>(
        &'a self,
        peer: &'a Vector,
        held: &LaneCounts,
    ) -> Option<impl Iterator<Item = (Stamp, u64)> + 'a> {
        // The peer may have forgotten a lane of which the shard holds no record, and needs none of it.
        let reaches = |&(lane, seq): &(LaneId, u64)| !held.holds(lane) || peer.covers(Stamp { lane, seq });
        self.floor.iter().all(reaches).then(|| self.ring.iter().copied().filter(|&(stamp, _)| !peer.covers(stamp)))
    }

    fn raise_floor(&mut self, dropped: Stamp, held: &LaneCounts) {
        if let Some((_, seq)) = self.floor.iter_mut().find(|(lane, _)| *lane == dropped.lane) {
            *seq = dropped.seq.max(*seq);
            return;
        }
        // Rare, so that this is the place to drop lanes of which no record is left.
        self.floor.retain(|&(lane, _)| held.holds(lane));
        self.floor.push((dropped.lane, dropped.seq));
    }
}

/// Stamps of a shard: 32,768 in all shards, which are 0.8 MB, and as many reports as a herd takes in a second or more.
const RECENT_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(lane: u32, seq: u64) -> Stamp {
        Stamp { lane: LaneId(lane), seq }
    }

    fn peer(lanes: &[(u32, u64)]) -> Vector {
        lanes.iter().map(|&(lane, seq)| (LaneId(lane), seq)).collect()
    }

    fn held(lanes: &[u32]) -> LaneCounts {
        let mut counts = LaneCounts::default();
        lanes.iter().for_each(|&lane| counts.add(LaneId(lane)));
        counts
    }

    #[test]
    fn recent_serves_a_peer_that_reaches_its_floor() {
        let (mut recent, held) = (Recent::default(), held(&[0, 1]));
        for seq in 1..=RECENT_MAX as u64 {
            recent.push(stamp(0, seq), seq * 10, &held);
        }
        assert_eq!(recent.beyond(&Vector::default(), &held).unwrap().count(), RECENT_MAX, "nothing was dropped yet");
        recent.push(stamp(1, 5), 0, &held);
        recent.push(stamp(1, 9), 0, &held);
        // 1 and 2 of lane 0 are gone.
        assert!(recent.beyond(&peer(&[(0, 1)]), &held).is_none());
        let served: Vec<_> = recent.beyond(&peer(&[(0, 126), (1, 5)]), &held).unwrap().collect();
        assert_eq!(served, [(stamp(0, 127), 1270), (stamp(0, 128), 1280), (stamp(1, 9), 0)]);
        assert!(recent.beyond(&peer(&[(0, 2)]), &held).is_some());
    }

    #[test]
    fn floor_is_the_highest_dropped_number_of_each_lane_whatever_the_order() {
        let (mut recent, both) = (Recent::default(), held(&[0, 1]));
        for seq in [7, 3] {
            recent.push(stamp(0, seq), 0, &both);
        }
        for seq in 1..=RECENT_MAX as u64 {
            recent.push(stamp(1, seq), 0, &both);
        }
        assert!(recent.beyond(&peer(&[(0, 6)]), &both).is_none());
        assert!(recent.beyond(&peer(&[(0, 7)]), &both).is_some());
        assert!(recent.beyond(&peer(&[]), &held(&[1])).is_some(), "no record of lane 0 is left that a peer could lack");
    }

    #[test]
    fn floor_of_a_lane_is_not_that_of_another() {
        let (mut recent, all) = (Recent::default(), held(&[0, 1, 2]));
        for (lane, seq) in [(0, 7), (1, 5), (0, 8), (1, 6)] {
            recent.push(stamp(lane, seq), 0, &all);
        }
        for seq in 1..=RECENT_MAX as u64 {
            recent.push(stamp(2, seq), 0, &all);
        }
        let serves = |lanes: &[(u32, u64)]| recent.beyond(&peer(lanes), &all).is_some();
        assert!(serves(&[(0, 8), (1, 6)]));
        assert!(!serves(&[(0, 7), (1, 6)]) && !serves(&[(0, 8), (1, 5)]) && !serves(&[(0, 99)]) && !serves(&[(1, 99)]));
    }
}
