//! A swap of the herd that this node is about to adopt.

use std::time::Instant;

use super::herd_state::HerdSwap;

/// A swap that the herd has made and this node is about to.
pub(crate) struct Adoption {
    pub(crate) swap: HerdSwap,
    /// The order was given; before, its bytes are on their way.
    pub(crate) started: bool,
    /// Not to be ordered before.
    pub(crate) not_before: Instant,
}

/// A swap of the herd was not taken up. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdopted {
    /// Something is in the way that will be gone. It is tried again.
    #[error("{0}")]
    RetryLater(String),
    /// It cannot serve here.
    #[error("{0}")]
    Refused(String),
}
