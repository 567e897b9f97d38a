//! Making an input smaller for as long as something holds of it: delta debugging.
//!
//! Knows nothing of guests: what has to hold is a function that is asked again and again, and each time may be dear.
//!
//! Bounds: a [`Budget`] of tries and of time. What is left when it is used up is still an input of which it holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How much may be tried.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    tries: usize,
    ends: Instant,
    /// One is set when there is no more time, whatever was planned.
    stops: Vec<&'a AtomicBool>,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(tries: usize, time: Duration, stop: &'a AtomicBool) -> Self {
        Self { tries, ends: Instant::now() + time, stops: vec![stop] }
    }

    /// Ends with this, too.
    pub(crate) fn until(mut self, stop: &'a AtomicBool) -> Self {
        self.stops.push(stop);
        self
    }

    /// Takes one try, if there is one.
    pub(crate) fn spend(&mut self) -> bool {
        let stopped = self.stops.iter().any(|stop| stop.load(Ordering::Relaxed));
        let left = self.tries > 0 && Instant::now() < self.ends && !stopped;
        self.tries -= usize::from(left);
        left
    }
}

/// The smallest input that is found for which `holds`, which it does for the given one: first the fewest lines, then the
/// fewest bytes. With budget left, it does not hold without any one byte of the result.
pub(crate) fn smallest(input: &[u8], budget: &mut Budget<'_>, mut holds: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let lines: Vec<&[u8]> = input.split_inclusive(|&byte| byte == b'\n').collect();
    let lines = fewest(lines, budget, |lines| holds(&lines.concat()));
    fewest(lines.concat(), budget, holds)
}

/// As few of these as are found, in their order, for which `holds`, which it does for all of them together. With budget
/// left, it does not hold without any one of the result.
///
/// Takes away pieces of half the length, then of half of that, down to single ones, which it tries until none can go. Where
/// one of n is needed, that takes some log n tries.
pub(crate) fn fewest<T: Clone>(
    mut units: Vec<T>,
    budget: &mut Budget<'_>,
    mut holds: impl FnMut(&[T]) -> bool,
) -> Vec<T> {
    let mut length = units.len();
    while length > 0 {
        let (mut at, mut went) = (0, false);
        while at < units.len() {
            if !budget.spend() {
                return units;
            }
            let end = (at + length).min(units.len());
            let rest = [&units[..at], &units[end..]].concat();
            if holds(&rest) {
                (units, went) = (rest, true);
            } else {
                at = end;
            }
        }
        if length > 1 || !went {
            length /= 2;
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static NEVER: AtomicBool = AtomicBool::new(false);

    fn ample() -> Budget<'static> {
        Budget::new(1_000_000, Duration::from_secs(3600), &NEVER)
    }

    fn contains(bytes: &[u8], part: &[u8]) -> bool {
        part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn what_is_needed_of_many_lines_is_found_in_few_tries() {
        let good = b"IAMAT kiwi.example.com +34.068930-118.445127 1479413884.392014450\n".repeat(100);
        let bad = [b"BOOM ", &[b'x'; 500][..], b"\n"].concat();
        let input = [&good[..], &bad, &good].concat();
        let mut tries = 0;
        let found = smallest(&input, &mut ample(), |bytes| {
            tries += 1;
            bytes.split_inclusive(|&byte| byte == b'\n').any(|line| line.starts_with(b"BOOM") && line.ends_with(b"\n"))
        });
        assert_eq!(found, b"BOOM\n");
        assert!(tries < 100, "{tries}");
    }

    #[test]
    fn parts_that_are_needed_together_stay_together() {
        let found = smallest(b"a\nfirst\nb\nsecond\nc\n", &mut ample(), |bytes| {
            contains(bytes, b"first\n") && contains(bytes, b"second")
        });
        assert_eq!(found, b"first\nsecond");
    }

    #[test]
    fn nothing_is_tried_once_it_is_to_stop() {
        let stop = AtomicBool::new(true);
        let mut budget = Budget::new(1000, Duration::from_secs(3600), &stop);
        assert_eq!(smallest(b"abc", &mut budget, |_| panic!("it was tried")), b"abc");
    }

    proptest! {
        #[test]
        fn it_still_holds_and_not_without_any_byte_unless_the_budget_is_used(
            input in prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..60),
            needed in prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..4),
            odd in any::<bool>(),
            tries in prop_oneof![Just(1_000_000), 0..40_usize],
        ) {
            // Not monotonous: what holds of some bytes need not hold of more.
            let is_enough = |bytes: &[u8]| contains(bytes, &needed) && (!odd || bytes.len() % 2 == 1);
            let holds = |bytes: &[u8]| bytes == input || is_enough(bytes);
            let (mut budget, mut asked) = (Budget::new(tries, Duration::from_secs(3600), &NEVER), 0);
            let found = smallest(&input, &mut budget, |bytes| {
                asked += 1;
                holds(bytes)
            });
            prop_assert!(holds(&found));
            prop_assert!(asked <= tries);
            let without = |at: usize| [&found[..at], &found[at + 1..]].concat();
            if budget.spend() {
                prop_assert!((0..found.len()).all(|at| !holds(&without(at))), "{found:?}");
            }
        }
    }
}
