//! Timeouts of a feed.

use std::time::Duration;

/// Longest waits of a replay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// Wait for a connection, and for one answer.
    pub(super) answer: Duration,
    /// Wait for one node to show one report.
    pub(super) visible: Duration,
}

impl Default for Timeouts {
    /// Five seconds each: an answer takes microseconds, but places may come from a slow source, and a flood may wait for a link
    /// that reconnects.
    fn default() -> Self {
        Timeouts { answer: Duration::from_secs(5), visible: Duration::from_secs(5) }
    }
}
