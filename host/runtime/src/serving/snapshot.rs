//! The live generations at one moment and their roles. Immutable: a swap replaces it as a whole, so that no call sees half of
//! one.
//!
//! Knows nothing of calls. Bounds: three generations.

use std::sync::Arc;

use herd_model::{GenerationId, Side, Sides};

use crate::generation::generation::Generation;
use crate::serving::canary::Canary;
use crate::serving::probation::Probation;

/// The generations that decide, by role.
pub(crate) struct Snapshot {
    pub(crate) active: Arc<Generation>,
    pub(crate) previous: Option<Arc<Generation>>,
    /// Probation of the active generation. None after a rollback, and for the first generation of a node.
    pub(crate) probation: Option<Probation>,
    pub(crate) canary: Option<Arc<Canary>>,
}

impl Snapshot {
    /// Returns the split of sessions between the active generation and the canary.
    pub(crate) fn sides(&self) -> Sides {
        let sides = Sides::new(self.active.id());
        let Some(canary) = &self.canary else { return sides };
        sides.with_canary(canary.generation().id(), canary.share())
    }

    /// Returns the generations for a call of this side, in the order in which they are tried. A previous generation that failed
    /// its probation decides nothing.
    pub(crate) fn fallback_order(&self, side: Side) -> impl Iterator<Item = &Arc<Generation>> {
        let canary = self.canary.as_ref().filter(|_| side == Side::Canary).map(|canary| canary.generation());
        let previous = self.previous.as_ref().filter(|previous| !previous.has_failed());
        [canary, Some(&self.active), previous].into_iter().flatten()
    }

    /// Returns the log message for a fault of this generation.
    pub(crate) fn fault_message(&self, faulting: &Arc<Generation>) -> &'static str {
        if Arc::ptr_eq(&self.active, faulting) {
            "the active generation faulted"
        } else if self.canary.as_ref().is_some_and(|canary| Arc::ptr_eq(canary.generation(), faulting)) {
            "the canary faulted"
        } else {
            "the previous generation faulted too"
        }
    }

    /// Returns the live generation of this number. A failed previous one counts: it may still finish its fetches.
    pub(crate) fn find(&self, id: GenerationId) -> Option<&Arc<Generation>> {
        let canary = self.canary.as_ref().map(|canary| canary.generation());
        let mut all = [Some(&self.active), self.previous.as_ref(), canary].into_iter().flatten();
        all.find(|generation| generation.id() == id)
    }
}
