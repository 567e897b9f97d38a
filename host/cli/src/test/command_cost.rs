//! Costs of commands.
//!
//! Plain values; `cost` measures them.

use std::collections::BTreeMap;
use std::time::Duration;

/// Costs of a guest by command, and by `(reports)`, `(answers)` and `(several)` for calls with lines of several commands.
pub(super) type Costs = BTreeMap<String, CommandCost>;

/// Total cost of the lines of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CommandCost {
    /// Lines, reports or answers.
    pub(super) lines: u64,
    pub(super) instructions: u64,
    /// Instructions of the dearest call, for one line of it.
    pub(super) most: u64,
    /// Largest memory of an instance that made one of the calls and no other.
    pub(super) memory_bytes: usize,
    /// Sum of the shortest time of each call.
    pub(super) took: Duration,
}

impl CommandCost {
    /// Returns the instructions of one line, rounded up.
    pub(super) fn instructions_per_line(&self) -> u64 {
        self.instructions.div_ceil(self.lines.max(1))
    }

    /// Returns the microseconds of one line.
    #[allow(clippy::cast_precision_loss, reason = "a number of lines")]
    pub(super) fn us_per_line(&self) -> f64 {
        self.took.as_secs_f64() * 1e6 / self.lines.max(1) as f64
    }
}
