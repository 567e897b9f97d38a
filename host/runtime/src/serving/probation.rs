//! Probation of a generation that was swapped in.
//!
//! During probation each fault that the previous generation rescued is counted here. Too many within a window, and the node
//! rolls back. Probation ends, because a fault may be a client's doing: a client that finds a line on which an accepted guest
//! faults still gets its answer from the previous generation, but must not choose which logic a node runs.
//!
//! Counts only; the caller acts. The clock is an argument. Bounds: the times of the faults within one window, which ends with
//! the fault that is one too many.

use std::collections::VecDeque;

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Limits of a probation. They do not change while a node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapLimits {
    /// Duration of the probation, in seconds. 0 means none.
    pub probation_s: u64,
    /// Faults within the window that end the probation with a rollback. At least 1.
    pub faults_max: usize,
    /// Length of that window, in seconds.
    pub window_s: u64,
}

impl Default for SwapLimits {
    fn default() -> Self {
        Self { probation_s: 600, faults_max: 8, window_s: 10 }
    }
}

/// Counts the faults of one generation on probation.
#[derive(Debug)]
pub(crate) struct Probation {
    limits: SwapLimits,
    /// End of the probation. None: it never ends.
    ends: Option<Instant>,
    faults: Mutex<VecDeque<Instant>>,
}

impl Probation {
    /// Starts a probation at `now`.
    pub(crate) fn new(limits: SwapLimits, now: Instant) -> Self {
        let ends = now.checked_add(Duration::from_secs(limits.probation_s));
        Self { limits, ends, faults: Mutex::default() }
    }

    /// Starts one that never ends: a canary has to prove itself for as long as it runs.
    pub(crate) fn without_end(limits: SwapLimits) -> Self {
        Self { limits, ends: None, faults: Mutex::default() }
    }

    /// Counts a fault at `now`. True if it is one too many. Several workers may get true for the same generation.
    pub(crate) fn record_fault(&self, now: Instant) -> bool {
        if self.ends.is_some_and(|ends| now >= ends) {
            return false;
        }
        // A lock that workers share, on the path of a fault: a fault costs a fresh instance, a hundred times as much.
        let mut faults = self.faults.lock();
        let window = Duration::from_secs(self.limits.window_s);
        while faults.front().is_some_and(|first| now.duration_since(*first) > window) {
            faults.pop_front();
        }
        faults.push_back(now);
        faults.len() >= self.limits.faults_max.max(1)
    }
}

impl Clone for Probation {
    fn clone(&self) -> Self {
        let faults = self.faults.lock().clone();
        Self { limits: self.limits.clone(), ends: self.ends, faults: Mutex::new(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probation(begun: Instant) -> Probation {
        Probation::new(SwapLimits { faults_max: 3, ..SwapLimits::default() }, begun)
    }

    fn after(begun: Instant, seconds: u64) -> Instant {
        begun + Duration::from_secs(seconds)
    }

    #[test]
    fn probation_fails_at_too_many_faults_within_the_window() {
        let begun = Instant::now();
        let probation = probation(begun);
        assert_eq!([1, 2, 11].map(|second| probation.record_fault(after(begun, second))), [false, false, true]);
    }

    #[test]
    fn probation_allows_faults_far_apart() {
        let begun = Instant::now();
        let probation = probation(begun);
        assert!((1..50).all(|number| !probation.record_fault(after(begun, 6 * number))));
    }

    #[test]
    fn probation_counts_no_faults_after_its_end() {
        let begun = Instant::now();
        let probation = probation(begun);
        assert!((0..50).all(|_| !probation.record_fault(after(begun, 600))));
    }
}
