//! A generation that is ready to serve, and how it came to be wished.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::generation::generation::{Generation, GenerationStatus};
use crate::replay::rehearsal::Rehearsed;

/// A generation that is ready to serve and does not. While it is there, no other is made ready; dropped, it is gone.
pub struct Candidate {
    pub(crate) generation: Arc<Generation>,
    pub(crate) rehearsed: Rehearsed,
    /// Whose it is makes candidates ready, and nobody else.
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Candidate {
    /// What people want to know of it.
    #[must_use]
    pub fn status(&self) -> GenerationStatus {
        self.generation.status()
    }

    /// What it has stood, in words.
    #[must_use]
    pub fn rehearsed(&self) -> String {
        let Rehearsed { transcripts, decisions } = self.rehearsed;
        format!("{transcripts} transcripts and {decisions} decisions of this node")
    }
}
