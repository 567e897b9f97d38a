//! The live generations at one moment and their roles. Immutable: a swap replaces it as a whole, so that no call sees half of
//! one.
//!
//! Knows nothing of calls. Bounds: three generations.

use std::sync::Arc;

use herd_model::{GenerationId, Reroute, Side, Sides};

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

    /// Returns the generations for a call in the order in which they are tried, with one of them first if `reroute` says so.
    pub(crate) fn rerouted_order(
        &self,
        side: Side,
        reroute: Option<Reroute>,
    ) -> impl Iterator<Item = &Arc<Generation>> {
        let is_first = |id| self.fallback_order(side).next().is_some_and(|first| first.id() == id);
        let ahead = reroute
            .filter(|reroute| is_first(reroute.from))
            .and_then(|reroute| self.fallback_order(side).find(|generation| generation.id() == reroute.to));
        let others = self.fallback_order(side);
        let others = others.filter(move |other| ahead.is_none_or(|ahead| !Arc::ptr_eq(ahead, other)));
        ahead.into_iter().chain(others)
    }

    /// True if a fault of this generation counts: it is the canary, or active and on probation.
    pub(crate) fn is_on_trial(&self, generation: &Arc<Generation>) -> bool {
        let is_canary = self.canary.as_ref().is_some_and(|canary| Arc::ptr_eq(canary.generation(), generation));
        is_canary || (self.probation.is_some() && Arc::ptr_eq(&self.active, generation))
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
        self.all().find(|generation| generation.id() == id)
    }

    /// Returns every live generation, also a failed previous one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Generation>> {
        let canary = self.canary.as_ref().map(|canary| canary.generation());
        [Some(&self.active), self.previous.as_ref(), canary].into_iter().flatten()
    }
}
