//! Times of reports, strictly increasing.

use std::time::Duration;

/// Clock of the simulated client. Each time is later than the one before, or the herd would drop the report.
#[derive(Default)]
pub(super) struct ClientClock {
    last_ns: u128,
}

impl ClientClock {
    /// Returns the time as POSIX seconds with nine decimals.
    pub(super) fn stamp(&mut self, since_epoch: Duration) -> String {
        self.last_ns = since_epoch.as_nanos().max(self.last_ns + 1);
        format!("{}.{:09}", self.last_ns / NANOS_PER_SECOND, self.last_ns % NANOS_PER_SECOND)
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;
