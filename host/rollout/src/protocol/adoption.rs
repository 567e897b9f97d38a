//! Adoption of a committed swap by one node.

use std::time::Instant;

use super::herd_state::HerdSwap;

/// Committed swap that this node is adopting.
pub(crate) struct Adoption {
    pub(crate) swap: HerdSwap,
    /// True once the action was emitted. Before that, the bytes are on their way or the node waits for a retry.
    pub(crate) started: bool,
    /// Earliest time of the action.
    pub(crate) not_before: Instant,
}

/// A node did not adopt a committed swap. Nothing changed on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdopted {
    /// A temporary obstacle, such as another candidate on this node. The node retries after a second.
    #[error("{0}")]
    RetryLater(String),
    /// The guest cannot serve here. The node stays on its generation and counts as rolled back.
    #[error("{0}")]
    Refused(String),
}
