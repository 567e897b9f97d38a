//! Rescues: decisions that a fallback made because a generation before it in line faulted.

use herd_sdk::Decision;

use crate::GenerationId;

/// A decision on inputs of sessions, and the generations that were asked for it.
#[derive(Clone, Debug)]
pub struct DecidedInputs {
    /// Generation that decided: fetches of the decision belong to it.
    pub by: GenerationId,
    /// Generation that is first in line, if one faulted on the call before another decided it.
    pub rescued_from: Option<GenerationId>,
    /// The decision.
    pub decision: Decision,
}

/// Change of the order in which generations are asked: for input on which one keeps faulting, another decides first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reroute {
    /// Generation that is first in line. While another one is, the order does not change.
    pub from: GenerationId,
    /// Generation that decides before it, while it is live.
    pub to: GenerationId,
}
