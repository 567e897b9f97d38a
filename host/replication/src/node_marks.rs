//! Marks of a node: how far its lanes were at one moment.
//!
//! Owns the comparison with stamps. Names the process by its epoch, because numbers of lanes end with the process. Knows nothing of the
//! clock and of what the moment was. Bounds: 8 bytes per worker.

use crate::lanes::Lane;
use crate::stamp::Epoch;

/// Highest sequence number of each lane of a node at one moment.
///
/// What an earlier process of the node has kept came before the moment, what a later one has kept came after it, so the lanes of the
/// process that ran suffice.
///
/// ```rust
/// use herd_replication::{Epoch, Lane, NodeMarks};
///
/// let epoch = Epoch { started_ms: 5, random: 1 };
/// let marks = NodeMarks { epoch, seqs: vec![7, 0] };
/// let lane = Lane { origin: "Riley".into(), epoch, worker: 0 };
/// assert!(marks.include(&lane, 7) && !marks.include(&lane, 8));
/// let later = Lane { epoch: Epoch { started_ms: 6, random: 0 }, ..lane };
/// assert!(!marks.include(&later, 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeMarks {
    /// Process of the node that ran at that moment.
    pub epoch: Epoch,
    /// Highest sequence number of each of its lanes, by worker. The last one is that of operators.
    pub seqs: Vec<u64>,
}

impl NodeMarks {
    /// Returns whether the node had made this keep by then. The lane is one of the node itself.
    #[must_use]
    pub fn include(&self, lane: &Lane, seq: u64) -> bool {
        lane.epoch < self.epoch
            || lane.epoch == self.epoch && self.seqs.get(usize::from(lane.worker)).is_some_and(|&mark| seq <= mark)
    }

    /// Returns whether a lane is that of the operators of its process.
    pub(crate) fn is_of_operators(&self, lane: &Lane) -> bool {
        usize::from(lane.worker) + 1 == self.seqs.len()
    }
}
