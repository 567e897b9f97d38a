//! Time budget of one call for conversions that fault.
//!
//! A call may look up many records. Each on which the conversion loops takes a deadline, while the sessions of the worker
//! wait. Conversions that do not fault are calls like any other, and their time does not count.

use std::time::Duration;

/// Time left for conversions that fault, in one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConversionBudget(Duration);

impl ConversionBudget {
    /// For calls that no session waits for.
    pub(crate) const UNLIMITED: Self = Self(Duration::MAX);

    /// Returns whether no further conversion is tried.
    pub(crate) fn is_exhausted(self) -> bool {
        self.0.is_zero()
    }

    /// Subtracts the time of a conversion that faulted.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.0 = self.0.saturating_sub(time);
    }
}

/// Two deadlines of the default length, or some hundred traps.
impl Default for ConversionBudget {
    fn default() -> Self {
        Self(Duration::from_millis(20))
    }
}
