//! Which words a node has heard, so that each is passed on once.

use std::collections::{HashSet, VecDeque};

/// The numbers of the last words.
#[derive(Default)]
pub(crate) struct SeenSet {
    numbers: HashSet<u64>,
    order: VecDeque<u64>,
}

impl SeenSet {
    /// Whether this one is heard for the first time, as far back as is remembered.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        if !self.numbers.insert(number) {
            return false;
        }
        self.order.push_back(number);
        if self.order.len() > BROADCASTS_MAX {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.numbers.remove(&oldest));
        }
        true
    }
}

/// A word goes round a herd in moments; a round of fifty nodes has some hundreds.
const BROADCASTS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_new_once_and_little_is_remembered() {
        let mut seen = SeenSet::default();
        for number in 0..10_000 {
            assert!(seen.insert(number));
            assert!(!seen.insert(number));
        }
        assert_eq!((seen.numbers.len(), seen.order.len()), (BROADCASTS_MAX, BROADCASTS_MAX));
        assert!(!seen.insert(9_999) && seen.insert(0));
    }
}
