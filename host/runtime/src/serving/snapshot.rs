//! What is live at one moment: which generation decides for whom. Replaced as a whole, so that no call sees half a change.

use std::sync::Arc;

use herd_model::{Side, Sides};

use crate::generation::generation::Generation;
use crate::serving::canary::Canary;
use crate::serving::probation::Probation;
use herd_model::GenerationId;

/// The generations that decide.
pub(crate) struct Snapshot {
    pub(crate) active: Arc<Generation>,
    pub(crate) previous: Option<Arc<Generation>>,
    /// That of the active one, if it is on any.
    pub(crate) probation: Option<Probation>,
    pub(crate) canary: Option<Arc<Canary>>,
}

impl Snapshot {
    pub(crate) fn sides(&self) -> Sides {
        Sides::new(self.canary.as_ref().map(|canary| canary.share()))
    }

    /// Who decides a call of this side, and who if they fault.
    pub(crate) fn fallback_order(&self, side: Side) -> impl Iterator<Item = &Arc<Generation>> {
        let canary = self.canary.as_ref().filter(|_| side == Side::Canary).map(|canary| canary.generation());
        let previous = self.previous.as_ref().filter(|previous| !previous.has_failed());
        [canary, Some(&self.active), previous].into_iter().flatten()
    }

    /// What is said of one that has faulted on a call.
    pub(crate) fn fault_message(&self, faulting: &Arc<Generation>) -> &'static str {
        if Arc::ptr_eq(&self.active, faulting) {
            "the active generation faulted"
        } else if self.canary.as_ref().is_some_and(|canary| Arc::ptr_eq(canary.generation(), faulting)) {
            "the canary faulted"
        } else {
            "the previous generation faulted too"
        }
    }

    /// The one of this number.
    pub(crate) fn find(&self, id: GenerationId) -> Option<&Arc<Generation>> {
        let canary = self.canary.as_ref().map(|canary| canary.generation());
        let mut all = [Some(&self.active), self.previous.as_ref(), canary].into_iter().flatten();
        all.find(|generation| generation.id() == id)
    }
}
