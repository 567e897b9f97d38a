//! What is live at one moment: which generation decides for whom. Replaced as a whole, so that no call sees half a change.

use std::sync::Arc;

use super::canary::Canary;
use super::generation::{Generation, GenerationId};
use super::probation::Probation;
use crate::share::Share;

/// The generations that decide.
pub(super) struct Live {
    pub(super) active: Arc<Generation>,
    pub(super) previous: Option<Arc<Generation>>,
    /// That of the active one, if it is on any.
    pub(super) probation: Option<Probation>,
    pub(super) canary: Option<Arc<Canary>>,
}

/// Who decides for a session: the active generation, or the canary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The active one.
    #[default]
    Active,
    /// The canary, if there still is one.
    Canary,
}

/// Who decides for which sessions, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sides(Option<Share>);

impl Sides {
    /// Who decides for a session of this number. The same for as long as the share does not change, and a session that a
    /// share takes is taken by a wider one too.
    #[must_use]
    pub fn of(self, session: u64) -> Side {
        if self.0.is_some_and(|share| share.takes(session)) { Side::Canary } else { Side::Active }
    }
}

impl Live {
    pub(super) fn sides(&self) -> Sides {
        Sides(self.canary.as_ref().map(|canary| canary.share()))
    }

    /// Who decides a call of this side, and who if they fault.
    pub(super) fn in_turn(&self, side: Side) -> impl Iterator<Item = &Arc<Generation>> {
        let canary = self.canary.as_ref().filter(|_| side == Side::Canary).map(|canary| canary.generation());
        let previous = self.previous.as_ref().filter(|previous| !previous.has_failed());
        [canary, Some(&self.active), previous].into_iter().flatten()
    }

    /// What is said of one that has faulted on a call.
    pub(super) fn words_for(&self, faulting: &Arc<Generation>) -> &'static str {
        if Arc::ptr_eq(&self.active, faulting) {
            "the active generation faulted"
        } else if self.canary.as_ref().is_some_and(|canary| Arc::ptr_eq(canary.generation(), faulting)) {
            "the canary faulted"
        } else {
            "the previous generation faulted too"
        }
    }

    /// The one of this number.
    pub(super) fn find(&self, id: GenerationId) -> Option<&Arc<Generation>> {
        let canary = self.canary.as_ref().map(|canary| canary.generation());
        let mut all = [Some(&self.active), self.previous.as_ref(), canary].into_iter().flatten();
        all.find(|generation| generation.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_takes_the_same_sessions_again_and_a_wider_one_those_and_more() {
        let taken = |percent: &str| {
            let sides = Sides(Some(percent.parse().unwrap()));
            (0..10_000).filter(|&session| sides.of(session) == Side::Canary).collect::<Vec<_>>()
        };
        let (few, more) = (taken("5%"), taken("20%"));
        assert!(few.len().abs_diff(500) < 50 && more.len().abs_diff(2000) < 100, "{} and {}", few.len(), more.len());
        assert!(few.iter().all(|session| more.contains(session)));
        assert!((0..100).all(|session| Sides(None).of(session) == Side::Active));
    }
}
