//! Minimization of a list for as long as a property holds: delta debugging (Zeller and Hildebrandt, 2002).
//!
//! Knows nothing of guests: the property is a function, and each call of it may be expensive.
//!
//! Bounds: a [`Budget`] of time. A result cut short by it still has the property.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time limit of a minimization.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    ends: Instant,
    /// Flags of which each ends it early.
    stops: Vec<&'a AtomicBool>,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(time: Duration, stops: Vec<&'a AtomicBool>) -> Self {
        Self { ends: Instant::now() + time, stops }
    }

    /// Returns whether no more may be tried.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.ends || self.stops.iter().any(|stop| stop.load(Ordering::Relaxed))
    }
}

/// Removes items for as long as `holds`, which the caller has made sure of for all of them. The rest stays in order; unless
/// the budget is over, `holds` fails without any single item of it.
///
/// Removes pieces of half the length first, then of half of that, down to single items, until none can go. Where one of n
/// items is needed, that takes some log n tries.
pub(crate) fn minimize<T: Clone>(
    mut items: Vec<T>,
    budget: &Budget<'_>,
    mut holds: impl FnMut(&[T]) -> bool,
) -> Vec<T> {
    let mut length = items.len();
    while length > 0 {
        let (mut at, mut is_smaller) = (0, false);
        while at < items.len() {
            if budget.is_over() {
                return items;
            }
            let end = (at + length).min(items.len());
            let rest = [&items[..at], &items[end..]].concat();
            if holds(&rest) {
                (items, is_smaller) = (rest, true);
            } else {
                at = end;
            }
        }
        // Single items again: one that was needed may have become removable.
        if length > 1 || !is_smaller {
            length /= 2;
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AMPLE: Duration = Duration::from_secs(3600);

    #[test]
    fn minimize_finds_one_line_of_many_in_few_tries() {
        let mut lines: Vec<String> = (0..200).map(|number| format!("IAMAT kiwi-{number} +34-118 1\n")).collect();
        lines.insert(77, "BOOM\n".into());
        let mut tries = 0;
        let found = minimize(lines, &Budget::new(AMPLE, vec![]), |lines| {
            tries += 1;
            lines.iter().any(|line| line.starts_with("BOOM"))
        });
        assert_eq!(found, ["BOOM\n"]);
        assert!(tries < 40, "{tries}");
    }

    #[test]
    fn minimize_keeps_items_that_are_needed_together() {
        let found = minimize(vec!["a", "first", "b", "second", "c"], &Budget::new(AMPLE, vec![]), |items| {
            items.contains(&"first") && items.contains(&"second")
        });
        assert_eq!(found, ["first", "second"]);
    }

    #[test]
    fn minimize_tries_nothing_after_its_end() {
        let stop = AtomicBool::new(true);
        for budget in [Budget::new(AMPLE, vec![&stop]), Budget::new(Duration::ZERO, vec![])] {
            assert_eq!(minimize(vec![1, 2, 3], &budget, |_| panic!("it was tried")), [1, 2, 3]);
        }
    }

    proptest! {
        #[test]
        fn minimize_holds_and_without_no_item_unless_it_was_stopped(
            input in prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..60),
            needed in prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..4),
            odd in any::<bool>(),
            tries_max in prop_oneof![Just(usize::MAX), 1..40_usize],
        ) {
            // Not monotonous: a property of some bytes need not hold for more of them.
            let is_part = |bytes: &[u8]| needed.is_empty() || bytes.windows(needed.len()).any(|part| part == needed);
            let holds = |bytes: &[u8]| bytes == input || is_part(bytes) && (!odd || bytes.len() % 2 == 1);
            let (stop, mut tries) = (AtomicBool::new(false), 0);
            let budget = Budget::new(AMPLE, vec![&stop]);
            let found = minimize(input.clone(), &budget, |bytes| {
                tries += 1;
                stop.store(tries == tries_max, Ordering::Relaxed);
                holds(bytes)
            });
            prop_assert!(holds(&found));
            prop_assert!(tries <= tries_max);
            let without = |at: usize| [&found[..at], &found[at + 1..]].concat();
            if !budget.is_over() {
                prop_assert!((0..found.len()).all(|at| !holds(&without(at))), "{found:?}");
            }
        }
    }
}
