//! Taking up what the herd has swapped to, and going back from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::herd_state::HerdSwap;
use super::message::{Adopted, Broadcast, truncate};
use super::participant::{Engaged, Member, Order, Step};
use herd_model::Digest;

/// A swap that the herd has made and this node is about to.
pub(crate) struct Taking {
    pub(crate) swap: HerdSwap,
    /// The order was given; before, its bytes are on their way.
    pub(crate) ordered: bool,
    /// Not to be ordered before.
    not_before: Instant,
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

impl Member {
    /// Takes up what the herd has swapped to, if this node has not.
    pub(crate) fn consider(&mut self, now: Instant) {
        let Some(swap) = self.standing.swap.clone().filter(|swap| Some(swap) > self.applied.as_ref()) else { return };
        match &self.taking {
            Some(taking) if taking.ordered => return,
            Some(taking) if taking.swap == swap => return self.go_on_taking(now),
            _ => {}
        }
        if self.standing.back.contains_key(&self.node) {
            (self.applied, self.taking) = (Some(swap), None);
            return self.order(Order::Remember);
        }
        self.take(swap, now);
    }

    /// A node that was killed before it had written down that it went back hears so from those it had told.
    pub(crate) fn stay_back(&mut self, now: Instant) {
        let Some(swap) = self.standing.swap.as_ref().filter(|swap| swap.digest == self.serving) else { return };
        let Some(digest) = swap.previous.filter(|_| self.standing.back.contains_key(&self.node)) else { return };
        if self.taking.is_none() && self.applied.as_ref() == Some(swap) {
            self.take(HerdSwap { digest, previous: None, ..swap.clone() }, now);
        }
    }

    fn take(&mut self, swap: HerdSwap, now: Instant) {
        self.taking = Some(Taking { swap, ordered: false, not_before: now });
        self.go_on_taking(now);
    }

    /// Orders what is to be taken up, as soon as it is there and nothing is in its way.
    pub(crate) fn go_on_taking(&mut self, now: Instant) {
        let Some(Taking { swap, ordered: false, not_before }) = &self.taking else { return };
        if now < *not_before {
            return;
        }
        let swap = swap.clone();
        let ready = match &self.engaged {
            // It will be ready in a moment, and a second one of the same kind would be in its way.
            Some(Engaged { step: Step::Preparing(plan), .. }) if plan.digest == swap.digest => return,
            Some(Engaged { step: Step::Ready(plan), .. }) => plan.digest == swap.digest,
            _ => false,
        };
        let guest = self.shelf.find(swap.digest);
        if !ready && guest.is_none() && self.previous != Some(swap.digest) {
            let from = self.told_by.clone();
            return self.fetch(swap.digest, &from, now);
        }
        if let Some(guest) = &guest {
            self.shelf.hold(swap.digest, Arc::clone(guest));
        }
        if let Some(taking) = &mut self.taking {
            taking.ordered = true;
        }
        self.order(Order::TakeUp { swap, guest });
    }

    /// What came of taking up a swap, and what decides here now.
    pub(crate) fn took_up(&mut self, swap: &HerdSwap, came: Result<Adopted, NotAdopted>, live: Digest, now: Instant) {
        self.serving = live;
        let is_the_last = self.standing.swap.as_ref() == Some(swap);
        let taken = match came {
            Err(NotAdopted::RetryLater(why)) => {
                tracing::info!(node = %self.node, swap = swap.number, why, "a swap of the herd is taken up later");
                self.taking = Some(Taking { swap: swap.clone(), ordered: false, not_before: now + LATER });
                return;
            }
            Err(NotAdopted::Refused(mut why)) => {
                truncate(&mut why);
                Err(why)
            }
            // It may have been sent back before this was heard, and the herd along with it.
            Ok(taken) => match self.standing.back.get(&self.node).filter(|_| is_the_last) {
                Some(why) => Err(why.clone()),
                None if !is_the_last && live != swap.digest => Err(WENT_BACK.into()),
                None => Ok(taken),
            },
        };
        self.taking = None;
        if self.standing.swap.as_ref().is_none_or(|last| last.number != swap.number || last == swap) {
            self.applied = self.applied.take().max(Some(swap.clone()));
        }
        // What was ready serves, or does not serve; either way there is nothing to be given up any more.
        if let Some(engaged) = self.engaged.take_if(|engaged| engaged.step.digest() == Some(swap.digest)) {
            self.winding_down |= matches!(engaged.step, Step::Preparing(_));
        }
        let (node, number) = (self.node.clone(), swap.number);
        self.say(Broadcast::AdoptionResult { node: node.clone(), number, result: taken.clone() });
        self.heard_taken(&node, number, taken.clone(), now);
        self.order(Order::Remember);
        if let Err(why) = taken
            && is_the_last
        {
            self.standing.back.insert(node, why);
            self.standing_changed(None, now);
        }
        self.tidy();
        self.consider(now);
    }

    /// Something else decides here now, by the word of an operator of this node.
    pub(crate) fn serves(&mut self, digest: Digest) {
        self.serving = digest;
        self.order(Order::Remember);
    }

    /// The node went back from a guest by itself, to this one. That may be heard before it is heard that the guest was
    /// taken up.
    pub(crate) fn went_back(&mut self, from: Digest, to: Digest, mut why: String, now: Instant) {
        self.serves(to);
        let Some(swap) = self.standing.swap.as_ref().filter(|swap| swap.digest == from) else { return };
        let is_taken = self.applied.as_ref() == Some(swap);
        let is_being_taken = self.taking.as_ref().is_some_and(|taking| taking.ordered && taking.swap == *swap);
        if is_taken || is_being_taken {
            truncate(&mut why);
            self.standing.back.insert(self.node.clone(), why);
            self.standing_changed(None, now);
        }
    }
}

/// What becomes of a guest that faults before anybody has heard that it serves.
const WENT_BACK: &str = "it was sent back at once, and so was the herd; herd audit says why";
/// Between two tries to take up what something is in the way of.
const LATER: Duration = Duration::from_secs(1);
