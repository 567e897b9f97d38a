//! Taking up what the herd has swapped to, and going back from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_model::Digest;

use super::action::Action;
use super::adoption::{Adoption, NotAdopted};
use super::engagement::{CandidateState, Engagement};
use super::herd_state::{HerdState, HerdSwap};
use super::message::{Adopted, Broadcast, Message, truncate};
use super::participant::Participant;

impl Participant {
    /// Takes up what the herd has swapped to, if this node has not.
    pub(crate) fn adopt_if_newer(&mut self, now: Instant) {
        let Some(swap) = self.herd_state.swap.clone().filter(|swap| Some(swap) > self.applied.as_ref()) else { return };
        match &self.adoption {
            Some(adoption) if adoption.started => return,
            Some(adoption) if adoption.swap == swap => return self.continue_adopting(now),
            _ => {}
        }
        if self.herd_state.rolled_back.contains_key(&self.node) {
            (self.applied, self.adoption) = (Some(swap), None);
            return self.push(Action::Persist);
        }
        self.start_adopting(swap, now);
    }

    /// A node that was killed before it had written down that it went back hears so from those it had told.
    pub(crate) fn restore_rollback(&mut self, now: Instant) {
        let Some(swap) = self.herd_state.swap.as_ref().filter(|swap| swap.digest == self.serving) else { return };
        let Some(digest) = swap.previous.filter(|_| self.herd_state.rolled_back.contains_key(&self.node)) else {
            return;
        };
        if self.adoption.is_none() && self.applied.as_ref() == Some(swap) {
            self.start_adopting(HerdSwap { digest, previous: None, ..swap.clone() }, now);
        }
    }

    fn start_adopting(&mut self, swap: HerdSwap, now: Instant) {
        self.adoption = Some(Adoption { swap, started: false, not_before: now });
        self.continue_adopting(now);
    }

    /// Orders what is to be taken up, as soon as it is there and nothing is in its way.
    pub(crate) fn continue_adopting(&mut self, now: Instant) {
        let Some(Adoption { swap, started: false, not_before }) = &self.adoption else { return };
        if now < *not_before {
            return;
        }
        let swap = swap.clone();
        let ready = match &self.engaged {
            // It will be ready in a moment, and a second one of the same kind would be in its way.
            Some(Engagement { candidate: CandidateState::Preparing(plan), .. }) if plan.digest == swap.digest => return,
            Some(Engagement { candidate: CandidateState::Ready(plan), .. }) => plan.digest == swap.digest,
            _ => false,
        };
        let guest = self.guests.find(swap.digest);
        if !ready && guest.is_none() && self.previous != Some(swap.digest) {
            let from = self.state_source.clone();
            return self.start_download(swap.digest, &from, now);
        }
        if let Some(guest) = &guest {
            self.guests.cache(swap.digest, Arc::clone(guest));
        }
        if let Some(adoption) = &mut self.adoption {
            adoption.started = true;
        }
        self.push(Action::Adopt { swap, guest });
    }

    /// What came of taking up a swap, and what decides here now.
    pub(crate) fn adopted(&mut self, swap: &HerdSwap, came: Result<Adopted, NotAdopted>, live: Digest, now: Instant) {
        self.serving = live;
        let is_the_last = self.herd_state.swap.as_ref() == Some(swap);
        let taken = match came {
            Err(NotAdopted::RetryLater(why)) => {
                tracing::info!(node = %self.node, swap = swap.number, why, "a swap of the herd is taken up later");
                self.adoption = Some(Adoption { swap: swap.clone(), started: false, not_before: now + RETRY_PAUSE });
                return;
            }
            Err(NotAdopted::Refused(mut why)) => {
                truncate(&mut why);
                Err(why)
            }
            // It may have been sent back before this was heard, and the herd along with it.
            Ok(taken) => match self.herd_state.rolled_back.get(&self.node).filter(|_| is_the_last) {
                Some(why) => Err(why.clone()),
                None if !is_the_last && live != swap.digest => Err(WENT_BACK.into()),
                None => Ok(taken),
            },
        };
        self.adoption = None;
        if self.herd_state.swap.as_ref().is_none_or(|last| last.number != swap.number || last == swap) {
            self.applied = self.applied.take().max(Some(swap.clone()));
        }
        // What was ready serves, or does not serve; either way there is nothing to be given up any more.
        if let Some(engaged) = self.engaged.take_if(|engaged| engaged.candidate.digest() == Some(swap.digest)) {
            self.discard_pending |= matches!(engaged.candidate, CandidateState::Preparing(_));
        }
        let (node, number) = (self.node.clone(), swap.number);
        self.broadcast(Broadcast::AdoptionResult { node: node.clone(), number, result: taken.clone() });
        self.receive_adoption_result(&node, number, taken.clone(), now);
        self.push(Action::Persist);
        if let Err(why) = taken
            && is_the_last
        {
            self.herd_state.rolled_back.insert(node, why);
            self.herd_state_changed(None, now);
        }
        self.release_unused();
        self.adopt_if_newer(now);
    }

    /// Something else decides here now, by the word of an operator of this node.
    pub(crate) fn serving_changed(&mut self, digest: Digest) {
        self.serving = digest;
        self.push(Action::Persist);
    }

    /// The node went back from a guest by itself, to this one. That may be heard before it is heard that the guest was
    /// taken up.
    pub(crate) fn rolled_back(&mut self, from: Digest, to: Digest, mut why: String, now: Instant) {
        self.serving_changed(to);
        let Some(swap) = self.herd_state.swap.as_ref().filter(|swap| swap.digest == from) else { return };
        let is_taken = self.applied.as_ref() == Some(swap);
        let is_being_taken = self.adoption.as_ref().is_some_and(|adoption| adoption.started && adoption.swap == *swap);
        if is_taken || is_being_taken {
            truncate(&mut why);
            self.herd_state.rolled_back.insert(self.node.clone(), why);
            self.herd_state_changed(None, now);
        }
    }

    pub(crate) fn herd_state_changed(&mut self, except: Option<&str>, now: Instant) {
        let mut except = except.map(Into::into);
        while let Some(swap) = self.herd_state.automatic_rollback(self.nodes.len()) {
            tracing::error!(node = %self.node, digest = %swap.digest.short(), "half of the herd went back, so all of it does");
            self.herd_state = HerdState { swap: Some(swap), ..HerdState::default() };
            except = None;
        }
        self.push(Action::SendToAll(except, Message::HerdState(self.herd_state.clone())));
        self.push(Action::Persist);
        self.adopt_if_newer(now);
        self.continue_proposal(now);
    }
}

/// What becomes of a guest that faults before anybody has heard that it serves.
const WENT_BACK: &str = "it was sent back at once, and so was the herd; herd audit says why";
/// Between two tries to take up what something is in the way of.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
