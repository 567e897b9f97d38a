//! How long a call of a guest waits for conversions that come to nothing.
//!
//! A call may look up many records, and each on which a conversion loops takes a deadline, while the sessions of the
//! worker wait. What conversions take that do not fault is not counted: they are calls like any other.

use std::time::Duration;

/// What is left of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConversionBudget(Duration);

impl ConversionBudget {
    /// For whom nobody waits.
    pub(crate) const UNLIMITED: Self = Self(Duration::MAX);

    /// Whether nothing more is tried.
    pub(crate) fn is_exhausted(self) -> bool {
        self.0.is_zero()
    }

    /// A conversion took so long, and faulted.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.0 = self.0.saturating_sub(time);
    }
}

/// That of a call: two deadlines as they are by default, or some hundred traps.
impl Default for ConversionBudget {
    fn default() -> Self {
        Self(Duration::from_millis(20))
    }
}
