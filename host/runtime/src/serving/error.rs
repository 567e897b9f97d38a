//! Errors of swaps, rollbacks, canaries and shadows. After each, what served before serves on.

use crate::engine::inspect::LoadError;
use herd_model::GenerationId;

/// A guest was not swapped in, or did not become a canary or a shadow. What serves did not change.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// Another swap of this node or of the herd is in progress. Try again after it.
    #[error("another swap is in progress on this node")]
    Busy,
    /// The generation that the last swap retired is still in a call, and a node holds one candidate at most. Try again in a
    /// second.
    #[error("a call on this node still holds the generation that the last swap retired; try again in a second")]
    Retiring,
    /// The active generation changed, or records of new forms came, again and again while the forms of the guest were checked.
    /// Try again.
    #[error("the generations of this node changed while this guest was checked; try again")]
    Unsettled,
    /// This guest failed its probation here before, or as a canary. The guest is at fault.
    #[error(
        "not tried again: this guest ({digest}) failed its probation here, with {why}; herd test reproduces that with the cases that this node saved, herd audit says where they are, and --again swaps to it anyway"
    )]
    Failed {
        /// The first digits of its digest.
        digest: String,
        /// The reason why it failed.
        why: String,
    },
    /// The node has a shadow, so it starts no canary and no other shadow.
    #[error("another guest ({0}) is already the shadow; herd shadow stop ends it")]
    Shadowed(String),
    /// The node has a canary, so it starts no shadow and no other canary.
    #[error("another guest ({0}) is already the canary; herd canary cancel ends it")]
    Canary(String),
    /// The thread of a shadow did not start. The machine is at fault.
    #[error("cannot start the thread of a shadow: {0}")]
    Thread(std::io::Error),
    /// The node does not compile, and nobody has sent it code of the guest. A compiler may be back later.
    #[error(transparent)]
    NoCode(LoadError),
    /// The guest does not load, or fails its rehearsal. Its author is at fault.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The node has no shadow. Nothing changed.
#[derive(Debug, thiserror::Error)]
#[error("no guest is a shadow on this node; herd swap GUEST --shadow 100% starts one")]
pub struct NoShadow;

/// The node was not rolled back. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The node has no previous generation: nothing was swapped yet, or its guest no longer loads.
    #[error("there is no previous generation to go back to")]
    NoPrevious,
    /// The previous generation has another guest, named second: somebody swapped or rolled back in between.
    #[error("guest {0} is not the previous generation any more, {1} is; see herd status")]
    NotPrevious(String, String),
    /// The previous generation failed its probation: the node rolled back from it.
    #[error("the previous generation ({0}) failed its probation, so a rollback to it is refused")]
    Failed(GenerationId),
}
