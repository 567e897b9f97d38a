//! Lanes: the sequences in which the nodes of the herd have numbered their keeps, each known here by a small number.
//!
//! A lane is one worker of one process of one node. Stamps, vectors and entries of the log carry its number in this process;
//! links and logs define each number before its first use.
//!
//! Bounds: [`LANES_MAX`] lanes in the life of a process. Numbers are not used again, so a record's number keeps its meaning.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::stamp::{Epoch, LaneId};
use crate::sync::RwLock;

/// Identity of a lane in the whole herd.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// Name of the node whose clients reported.
    pub origin: Arc<str>,
    /// Process of that node.
    pub epoch: Epoch,
    /// Worker of that process.
    pub worker: u16,
}

/// Lanes by number, and numbers by lane.
///
/// ```rust
/// use herd_replication::{Epoch, Lane, Lanes};
///
/// let lanes = Lanes::default();
/// let lane = Lane { origin: "Riley".into(), epoch: Epoch { started_ms: 1, random: 2 }, worker: 0 };
/// let id = lanes.id(&lane).unwrap();
/// assert_eq!(lanes.id(&lane), Some(id));
/// assert_eq!(lanes.get(id), Some(lane));
/// ```
#[derive(Debug, Default)]
pub struct Lanes(RwLock<Numbered>);

#[derive(Debug, Default)]
struct Numbered {
    lanes: Vec<Lane>,
    ids: BTreeMap<Lane, LaneId>,
}

impl Lanes {
    /// Returns the number of a lane, and gives it one if it is new. `None` if all numbers are given.
    pub fn id(&self, lane: &Lane) -> Option<LaneId> {
        // Nearly every lane is known, and readers do not wait for one another.
        if let Some(id) = self.0.read().ids.get(lane) {
            return Some(*id);
        }
        let mut numbered = self.0.write();
        // Another thread may have added the lane between the two locks; a second number for it would be wrong.
        if let Some(id) = numbered.ids.get(lane) {
            return Some(*id);
        }
        let id = LaneId(u32::try_from(numbered.lanes.len()).ok().filter(|&number| number < LANES_MAX)?);
        numbered.lanes.push(lane.clone());
        numbered.ids.insert(lane.clone(), id);
        Some(id)
    }

    /// Returns the number of a lane if it has one.
    #[must_use]
    pub fn known(&self, lane: &Lane) -> Option<LaneId> {
        self.0.read().ids.get(lane).copied()
    }

    /// Returns the lane of a number.
    #[must_use]
    pub fn get(&self, id: LaneId) -> Option<Lane> {
        self.0.read().lanes.get(id.0 as usize).cloned()
    }

    /// Returns the name of the node of a lane; empty for a number that was not given.
    #[must_use]
    pub fn origin(&self, id: LaneId) -> Arc<str> {
        let numbered = self.0.read();
        numbered.lanes.get(id.0 as usize).map_or_else(|| Arc::from(""), |lane| Arc::clone(&lane.origin))
    }

    /// Returns the number of lanes. Their numbers are all below it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().lanes.len()
    }

    /// Returns whether no lane has a number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the lanes whose number is at least `first`, with their numbers.
    #[must_use]
    pub fn since(&self, first: usize) -> Vec<(LaneId, Lane)> {
        let numbered = self.0.read();
        let ids = (0..).map(LaneId);
        ids.zip(numbered.lanes.iter().cloned()).skip(first).collect()
    }
}

/// Each start of a node adds a lane per worker; a node would have to see tens of thousands of starts without one of its own, at which it
/// forgets those to which nothing refers. The link whose lane finds no number is closed.
pub(crate) const LANES_MAX: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_number_each_lane_once_and_in_sequence() {
        let lanes = Lanes::default();
        let lane = |origin: &str, random, worker| {
            let epoch = Epoch { started_ms: 1, random };
            lanes.id(&Lane { origin: origin.into(), epoch, worker }).unwrap().0
        };
        assert_eq!([lane("Riley", 1, 0), lane("Riley", 1, 1), lane("Riley", 2, 0), lane("Juzang", 1, 0)], [0, 1, 2, 3]);
        assert_eq!(lane("Riley", 1, 1), 1);
        let juzang = |worker| Lane { origin: "Juzang".into(), epoch: Epoch { started_ms: 1, random: 1 }, worker };
        assert_eq!((lanes.known(&juzang(0)), lanes.known(&juzang(1))), (Some(LaneId(3)), None));
        assert!(!lanes.is_empty() && Lanes::default().is_empty());
        assert_eq!((lanes.len(), lanes.since(2).len(), &*lanes.origin(LaneId(3))), (4, 2, "Juzang"));
        assert_eq!((lanes.get(LaneId(4)), &*lanes.origin(LaneId(4))), (None, ""));
    }
}
