//! Fail-over of one call: which node is next, and when it is enough.
//!
//! Knows no connection. Bounds: attempts that may have harmed a node, and a pause after each round of all nodes; the time is the caller's.

use std::time::Duration;

use crate::error::NodeError;

/// Course of a call through the nodes.
#[derive(Debug)]
pub(crate) struct FailOver {
    nodes: usize,
    attempts_max: u32,
    /// Attempts that count.
    pub(crate) attempts: u32,
    failures: usize,
    /// Last failure of a node.
    pub(crate) last: Option<NodeError>,
}

impl FailOver {
    pub(crate) fn new(nodes: usize, attempts_max: u32) -> Self {
        Self { nodes, attempts_max, attempts: 0, failures: 0, last: None }
    }

    /// Counts an attempt that a node may have failed by, or a refusal. Returns whether there may be another.
    pub(crate) fn count(&mut self) -> bool {
        self.attempts += 1;
        self.attempts < self.attempts_max
    }

    /// Time to wait before the next attempt: none until every node has had one.
    pub(crate) fn pause(&mut self) -> Duration {
        self.failures += 1;
        if !self.failures.is_multiple_of(self.nodes) {
            return Duration::ZERO;
        }
        let rounds = u32::try_from(self.failures / self.nodes).unwrap_or(u32::MAX);
        // Doubled by each round.
        PAUSE_MIN.saturating_mul(1 << (rounds - 1).min(16)).min(PAUSE_MAX)
    }
}

/// Pause after the first round; a node that ends leaves its neighbours a few milliseconds of work.
const PAUSE_MIN: Duration = Duration::from_millis(25);
/// Longest pause: how late a call may notice that a node is back.
const PAUSE_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fail_over_pauses_after_each_round_and_longer_each_time() {
        let mut course = FailOver::new(2, 3);
        let pauses: Vec<u128> = (0..6).map(|_| course.pause().as_millis()).collect();
        assert_eq!(pauses, [0, 25, 0, 50, 0, 100]);
        assert_eq!((0..1000).map(|_| course.pause()).max(), Some(PAUSE_MAX));
        assert_eq!([course.count(), course.count(), course.count()], [true, true, false]);
    }
}
