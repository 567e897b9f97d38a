//! Faults of a guest in a call.
//!
//! Knows nothing of what follows from one: that is the concern of `serving`.

use herd_sdk::check::InvalidDecision;

/// A call failed. The guest is at fault, except for [`Fault::NoInstance`]. No effect was performed, and the instance is
/// dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The guest trapped: a panic, a memory access out of bounds, a division by zero.
    #[error("trapped: {0}")]
    Trap(String),
    /// The guest exceeded its processor time, or the cap on wall time.
    #[error("missed its deadline")]
    Deadline,
    /// The guest wanted more memory than its cap allows.
    #[error("passed its memory cap")]
    Memory,
    /// The guest overflowed its stack.
    #[error("recursed too deeply")]
    Recursion,
    /// The guest waited. A decision has nothing to wait for.
    #[error("slept")]
    Slept,
    /// The guest called `exit`.
    #[error("exited")]
    Exited,
    /// An effect of the decision is invalid.
    #[error("decided nonsense: {0}")]
    InvalidDecision(#[from] InvalidDecision),
    /// The guest refused its settings.
    #[error("{0}")]
    Settings(herd_sdk::BadSetting),
    /// The host has no room for an instance: the pool or the memory of the machine is exhausted. Counts against no guest and no
    /// input; the call may be made again.
    #[error("no instance: {0}")]
    NoInstance(String),
}

impl Fault {
    /// Returns the label for metrics and logs.
    ///
    /// ```
    /// assert_eq!(herd_runtime::Fault::Deadline.kind(), "deadline");
    /// ```
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Recursion => "recursion",
            Self::Slept => "slept",
            Self::Exited => "exited",
            Self::InvalidDecision(_) => "senseless",
            Self::Settings(_) => "settings",
            Self::NoInstance(_) => "no-instance",
        }
    }
}
