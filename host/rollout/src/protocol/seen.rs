//! Which words a node has heard, so that each is passed on once.

use std::collections::{HashSet, VecDeque};

/// The numbers of the last words.
#[derive(Default)]
pub(crate) struct Known {
    numbers: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Known {
    /// Whether this one is heard for the first time, as far back as is remembered.
    pub(crate) fn is_new(&mut self, number: u64) -> bool {
        if !self.numbers.insert(number) {
            return false;
        }
        self.order.push_back(number);
        if self.order.len() > WORDS_MAX {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.numbers.remove(&oldest));
        }
        true
    }
}

/// A word goes round a herd in moments; a round of fifty nodes has some hundreds.
const WORDS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_new_once_and_little_is_remembered() {
        let mut known = Known::default();
        for number in 0..10_000 {
            assert!(known.is_new(number));
            assert!(!known.is_new(number));
        }
        assert_eq!((known.numbers.len(), known.order.len()), (WORDS_MAX, WORDS_MAX));
        assert!(!known.is_new(9_999) && known.is_new(0));
    }
}
