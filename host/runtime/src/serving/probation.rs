//! Whether a generation that was swapped in has to go again.
//!
//! While it is on probation, each of its faults is rescued by the previous generation and counted here. Too many within
//! a window, and the node goes back by itself. After probation it has proved itself: then clients that found a line it
//! cannot stand get rescued answers, and do not get to choose which logic a node runs.
//!
//! Bounds: the times of as many faults as it takes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The `[swap]` table of the configuration. None of it changes while a node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwapLimits {
    /// Seconds for which a generation that was swapped in is watched. Default 600; 0: not at all.
    pub probation_s: u64,
    /// Faults within the window that send it back. Default 8.
    pub faults_max: usize,
    /// Seconds of that window. Default 10.
    pub window_s: u64,
    /// Seconds for which a candidate that is ready for a swap of the herd is held when nothing is heard of the node that
    /// asked for it. Default 30. Raised, a node that died while it asked is in the way of the next swap for longer.
    pub candidate_s: u64,
}

impl Default for SwapLimits {
    fn default() -> Self {
        Self { probation_s: 600, faults_max: 8, window_s: 10, candidate_s: 30 }
    }
}

/// The probation of one generation.
#[derive(Debug)]
pub(crate) struct Probation {
    limits: SwapLimits,
    /// None: never.
    ends: Option<Instant>,
    faults: Mutex<VecDeque<Instant>>,
}

impl Probation {
    pub(crate) fn new(limits: SwapLimits, now: Instant) -> Self {
        let ends = now.checked_add(Duration::from_secs(limits.probation_s));
        Self { limits, ends, faults: Mutex::default() }
    }

    /// Of a canary, which has to prove itself for as long as it is one.
    pub(crate) fn without_end(limits: SwapLimits) -> Self {
        Self { limits, ends: None, faults: Mutex::default() }
    }

    /// Counts a fault. Whether it is the one that is too many.
    pub(crate) fn record_fault(&self, now: Instant) -> bool {
        if self.ends.is_some_and(|ends| now >= ends) {
            return false;
        }
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
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
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
    fn too_many_faults_within_a_window_are_too_many() {
        let begun = Instant::now();
        let probation = probation(begun);
        assert_eq!([1, 2, 11].map(|second| probation.record_fault(after(begun, second))), [false, false, true]);
    }

    #[test]
    fn faults_far_apart_are_not() {
        let begun = Instant::now();
        let probation = probation(begun);
        assert!((1..50).all(|number| !probation.record_fault(after(begun, 6 * number))));
    }

    #[test]
    fn after_probation_nothing_sends_a_generation_back() {
        let begun = Instant::now();
        let probation = probation(begun);
        assert!((0..50).all(|_| !probation.record_fault(after(begun, 600))));
    }
}
