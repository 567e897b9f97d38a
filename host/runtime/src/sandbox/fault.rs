//! What a guest did wrong in a call.

use herd_sdk::check::InvalidDecision;

/// A call went wrong. The guest is at fault, except for [`Fault::NoInstance`]; nothing was performed, and the
/// instance is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It trapped: a panic, a memory access out of bounds, a division by zero.
    #[error("trapped: {0}")]
    Trap(String),
    /// It used up its processor time.
    #[error("missed its deadline")]
    Deadline,
    /// It wanted more memory than the cap allows.
    #[error("passed its memory cap")]
    Memory,
    /// It recursed too deeply.
    #[error("recursed too deeply")]
    Recursion,
    /// It waited for something, and there is nothing to wait for in a decision.
    #[error("slept")]
    Slept,
    /// It called exit.
    #[error("exited")]
    Exited,
    /// An effect makes no sense.
    #[error("decided nonsense: {0}")]
    InvalidDecision(#[from] InvalidDecision),
    /// It refused its settings.
    #[error("{0}")]
    Settings(herd_sdk::BadSetting),
    /// The host could not make an instance: the pool is exhausted, or memory is.
    #[error("no instance: {0}")]
    NoInstance(String),
}

impl Fault {
    /// A word for metrics and logs.
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
