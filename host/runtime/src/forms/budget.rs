//! Time budget of one call for conversions.
//!
//! A call may look up many records, or bring many reports. Each may take a conversion up to a deadline, while the sessions of
//! the worker wait, and no deadline of the call counts it. So all of them that are not cached share one budget, whether they
//! fault or not. It is processor time: a busy machine must not hide records.

use std::time::Duration;

/// Processor time left for conversions in one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConversionBudget(Duration);

impl ConversionBudget {
    /// For calls that no session waits for.
    pub(crate) const UNLIMITED: Self = Self(Duration::MAX);

    /// Returns whether no further conversion is tried.
    pub(crate) fn is_exhausted(self) -> bool {
        self.0.is_zero()
    }

    /// Subtracts the processor time of a conversion.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.0 = self.0.saturating_sub(time);
    }
}

/// Two deadlines of the default length, or some thousand conversions of a usual record.
impl Default for ConversionBudget {
    fn default() -> Self {
        Self(Duration::from_millis(20))
    }
}
