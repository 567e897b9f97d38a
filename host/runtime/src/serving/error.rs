//! Why logic is not replaced, and not gone back to.

use crate::engine::inspect::LoadError;
use herd_model::GenerationId;

/// The logic was not replaced. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// Another swap is under way on this node, or of the herd. Try again when it is over.
    #[error("another swap is under way on this node")]
    Busy,
    /// What the last swap retired is still in a call, and there is room for one candidate only. Try again in a second.
    #[error("the generation that the last swap retired is still in a call on this node; try again in a second")]
    Retiring,
    /// This very guest was sent back before. It is not tried for ever.
    #[error(
        "not tried again: this guest ({digest}) failed its probation here, with {why}; herd test shows it on the cases that this node kept, herd audit says where they are, and --again tries it all the same"
    )]
    Failed {
        /// Which guest.
        digest: String,
        /// Why it was sent back.
        why: String,
    },
    /// A shadow or a canary is wanted, and another candidate shadows already.
    #[error("another guest ({0}) shadows already; herd shadow stop ends that")]
    Shadowed(String),
    /// A canary or a shadow is wanted, and there is a canary.
    #[error("another guest ({0}) is the canary already; herd canary cancel ends that")]
    Canary(String),
    /// A shadow is wanted, and the system has no thread for it.
    #[error("there is no thread for a shadow: {0}")]
    Thread(std::io::Error),
    /// The guest does not load, or fails its rehearsal.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// There is no shadow to end. Nothing changed.
#[derive(Debug, thiserror::Error)]
#[error("no guest shadows on this node")]
pub struct NoShadow;

/// The logic was not rolled back. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// Nothing was swapped since the node started.
    #[error("there is no previous generation to go back to")]
    NoPrevious,
    /// The node went back from that one by itself.
    #[error("the previous generation ({0}) failed its probation, and nobody goes back to it")]
    Failed(GenerationId),
}
