//! Times of reports.

use std::time::{SystemTime, UNIX_EPOCH};

/// Gives the times of the reports: now, but always later than the one before, or the herd would drop the report.
#[derive(Default)]
pub(super) struct ClientClock {
    last_ns: u128,
}

impl ClientClock {
    /// Returns POSIX seconds with nine decimals.
    pub(super) fn stamp(&mut self, now: SystemTime) -> String {
        let now_ns = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        self.last_ns = now_ns.max(self.last_ns + 1);
        format!("{}.{:09}", self.last_ns / NANOS_PER_SECOND, self.last_ns % NANOS_PER_SECOND)
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;
