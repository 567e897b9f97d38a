//! Timeouts of a feed.

use std::time::Duration;

/// How long a walk timeouts for what may never come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// For a connection, and for one answer.
    pub(super) answer: Duration,
    /// For one report to be shown by one node.
    pub(super) visible: Duration,
}

impl Default for Timeouts {
    /// Five seconds each: an answer takes microseconds, but one with places may wait for a source, and a flood may
    /// wait for a link that is being made again.
    fn default() -> Self {
        Timeouts { answer: Duration::from_secs(5), visible: Duration::from_secs(5) }
    }
}
