//! Set of the broadcasts that a node has received, so that it forwards each once.
//!
//! Bounds: the identifiers of the last [`BROADCASTS_MAX`] broadcasts; the oldest is evicted.

use std::collections::{HashSet, VecDeque};

/// Identifiers of recent broadcasts.
#[derive(Default)]
pub(crate) struct SeenSet {
    ids: HashSet<u64>,
    /// Oldest first, for eviction.
    order: VecDeque<u64>,
}

impl SeenSet {
    /// Inserts an identifier. True if it is new, as far back as the set reaches.
    pub(crate) fn insert(&mut self, id: u64) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > BROADCASTS_MAX {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.ids.remove(&oldest));
        }
        true
    }
}

/// A broadcast crosses a herd in moments, and an attempt of fifty nodes takes some hundreds of them, so an evicted identifier
/// belongs to a broadcast that no node forwards any more.
const BROADCASTS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_set_reports_an_id_as_new_once_and_stays_bounded() {
        let mut seen = SeenSet::default();
        for id in 0..10_000 {
            assert!(seen.insert(id));
            assert!(!seen.insert(id));
        }
        assert_eq!((seen.ids.len(), seen.order.len()), (BROADCASTS_MAX, BROADCASTS_MAX));
        assert!(!seen.insert(9_999) && seen.insert(0));
    }
}
