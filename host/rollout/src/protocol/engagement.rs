//! Engagement of a node in an attempt that has not committed yet.
//!
//! Bounds: a node is engaged in one attempt at a time, and leaves it when the coordinator is silent for too long.

use std::time::Instant;

use herd_model::Digest;

use super::message::{Attempt, Plan};

/// Attempt that this node takes part in.
pub(crate) struct Engagement {
    pub(crate) attempt: Attempt,
    /// When a message of the coordinator last arrived.
    pub(crate) heard_at: Instant,
    /// Neighbour that forwarded the attempt. It has the guest or is downloading it.
    pub(crate) from: String,
    pub(crate) candidate: CandidateState,
}

/// Progress of the candidate on this node.
pub(crate) enum CandidateState {
    /// The node has voted to take part, and waits for the plan.
    Enlisted,
    /// The bytes are on their way.
    Downloading(Plan),
    /// The host compiles, checks and rehearses it.
    Preparing(Plan),
    /// It can be activated at once.
    Ready(Plan),
    /// It cannot serve here, with the reason.
    Refused(Plan, String),
}

impl CandidateState {
    /// Digest of the candidate, once the plan is known.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.plan().map(|plan| plan.digest)
    }

    /// Plan of the swap, once it is known.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Enlisted => None,
            Self::Downloading(plan) | Self::Preparing(plan) | Self::Ready(plan) | Self::Refused(plan, _) => Some(plan),
        }
    }
}
