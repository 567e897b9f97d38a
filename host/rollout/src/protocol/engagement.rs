//! The swap that a node takes part in.

use std::time::Instant;

use herd_model::Digest;

use super::message::{Attempt, Plan};

/// The swap that this node takes part in.
pub(crate) struct Engagement {
    pub(crate) attempt: Attempt,
    /// When the asking node was last heard of.
    pub(crate) heard_at: Instant,
    /// The neighbour that passed it on, who has or will have the guest.
    pub(crate) from: String,
    pub(crate) candidate: CandidateState,
}

/// How far it has come.
pub(crate) enum CandidateState {
    Enlisted,
    Downloading(Plan),
    Preparing(Plan),
    Ready(Plan),
    Refused(Plan, String),
}

impl CandidateState {
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Enlisted => None,
            Self::Downloading(plan) | Self::Preparing(plan) | Self::Ready(plan) | Self::Refused(plan, _) => {
                Some(plan.digest)
            }
        }
    }
}
