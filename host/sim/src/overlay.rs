//! Records of a node with the keeps of decisions on top that were not performed: what a second decision would see.
//!
//! Owns the keeps alone. Knows nothing of reigns: an order of ranks and bytes is enough here. Bounds: the keeps of two decisions.

use std::sync::Arc;

use herd_sdk::native::MemoryRecords;
use herd_sdk::{Decision, Found, Records};

/// Records under the keeps of decisions.
pub(crate) struct Overlay {
    below: Arc<dyn Records + Send + Sync>,
    above: MemoryRecords,
}

impl Overlay {
    pub(crate) fn new(below: Arc<dyn Records + Send + Sync>) -> Self {
        Self { below, above: MemoryRecords::default() }
    }

    /// Lays the keeps of a decision on top.
    pub(crate) fn apply(&self, decision: &Decision) {
        self.above.apply(decision);
    }
}

impl Records for Overlay {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let higher = |(below, above): (Option<Found>, Option<Found>)| match (below, above) {
            (Some(below), Some(above)) if (&below.rank, &below.bytes) >= (&above.rank, &above.bytes) => Some(below),
            (below, above) => above.or(below),
        };
        self.below.find(keys).into_iter().zip(self.above.find(keys)).map(higher).collect()
    }
}
