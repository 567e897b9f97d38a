//! Adoption of what the herd has swapped to, and rollback of this node.
//!
//! Knows nothing of votes and candidates of other nodes: the only input is the herd state, so a node that missed the whole
//! attempt adopts in the same way as one that took part.
//!
//! Bounds: one adoption at a time; retries are a second apart.

use std::time::{Duration, Instant};

use herd_model::Digest;

use super::action::Action;
use super::adoption::{Adoption, NotAdopted};
use super::engagement::{CandidateState, Engagement};
use super::herd_state::HerdSwap;
use super::message::{Adopted, Broadcast, Message, truncate};
use super::participant::Participant;

impl Participant {
    /// Spreads, stores and acts on a herd state that has changed. `except` is the neighbour that it came from.
    pub(crate) fn herd_state_changed(&mut self, except: Option<&str>, now: Instant) {
        let mut except = except.map(Into::into);
        while let Some(rollback) = self.herd_state.automatic_rollback(self.nodes.len()) {
            let digest = rollback.swap.as_ref().map(|swap| swap.digest.short()).unwrap_or_default();
            tracing::error!(node = %self.node, digest, "half of the herd rolled back, so the whole herd does");
            self.herd_state = rollback;
            // Nobody has sent this state, so the sender may not have it either.
            except = None;
        }
        // Sent before it is stored: once one neighbour has it, the commit survives this node.
        self.push(Action::SendToAll(except, Message::HerdState(self.herd_state.clone())));
        self.push(Action::Persist);
        self.adopt_if_newer(now);
        self.continue_proposal(now);
    }

    /// Starts to adopt the herd's swap, if this node has not yet.
    pub(crate) fn adopt_if_newer(&mut self, now: Instant) {
        let Some(swap) = self.herd_state.swap.clone().filter(|swap| Some(swap) > self.applied.as_ref()) else { return };
        match &self.adoption {
            // The host is at work and cannot be interrupted; its result leads back here.
            Some(adoption) if adoption.started => return,
            Some(adoption) if adoption.swap == swap => return self.continue_adopting(now),
            _ => {}
        }
        // This node has judged the guest before, and was restarted before it had stored that.
        if self.herd_state.rolled_back.contains_key(&self.node) {
            (self.applied, self.adoption) = (Some(swap), None);
            return self.push(Action::Persist);
        }
        self.start_adopting(swap, now);
    }

    /// Returns to the previous guest after a rollback of this node that was not stored.
    ///
    /// A node that was killed in between starts with the guest that it had rolled back from, and learns of its rollback from
    /// the nodes that it had told.
    pub(crate) fn restore_rollback(&mut self, now: Instant) {
        let Some(swap) = self.herd_state.swap.as_ref().filter(|swap| swap.digest == self.serving) else { return };
        let Some(digest) = swap.previous.filter(|_| self.herd_state.rolled_back.contains_key(&self.node)) else {
            return;
        };
        if self.adoption.is_none() && self.applied.as_ref() == Some(swap) {
            let swap = HerdSwap { digest, previous: None, attempt: 0, force: false, transcripts: None, ..swap.clone() };
            self.start_adopting(swap, now);
        }
    }

    fn start_adopting(&mut self, swap: HerdSwap, now: Instant) {
        self.adoption = Some(Adoption { swap, started: false, not_before: now });
        self.continue_adopting(now);
    }

    /// Activates the guest of the adoption as soon as it is here and nothing is in its way.
    pub(crate) fn continue_adopting(&mut self, now: Instant) {
        let Some(Adoption { swap, started: false, not_before }) = &self.adoption else { return };
        if now < *not_before {
            return;
        }
        let swap = swap.clone();
        if let Some((preparing, plan)) = &self.preparation
            && (preparing.id() == swap.attempt || plan.digest == swap.digest && !self.is_loaded(swap.digest))
        {
            // The host is preparing this very guest. Loading it a second time would take longer and need a second place, and
            // its rehearsal has yet to say whether it can serve here; `prepared` continues the adoption.
            return;
        }
        if let Some((_, why)) = self.refusals.iter().find(|(id, _)| *id == swap.attempt)
            && self.serving != swap.digest
        {
            // The coordinator did not hear of that in time, and the others have what this node lacks: a reason is in the
            // decisions of its own clients.
            let (refused, serving) = (NotAdopted::Refused(why.clone()), self.serving);
            return self.adopted(&swap, Err(refused), serving, now);
        }
        let is_ready = matches!(
            &self.engagement,
            Some(Engagement { candidate: CandidateState::Ready(plan), .. }) if plan.digest == swap.digest
        );
        let digests = self.herd_state.files(&swap);
        let files = self.guests.files(digests);
        // A prepared candidate and the previous generation are loaded already, so neither needs bytes.
        if let Err(missing) = &files
            && !is_ready
            && self.previous != Some(swap.digest)
        {
            let from = self.state_source.clone();
            return self.start_download(*missing, &from, now);
        }
        let files = files.ok();
        if let Some(files) = &files {
            // In memory, because the action to persist that follows the adoption writes them.
            self.cache(digests, files);
        }
        if let Some(adoption) = &mut self.adoption {
            adoption.started = true;
        }
        self.push(Action::Adopt { swap, files });
    }

    /// True if a generation of this node runs the guest, so that it can serve at once.
    fn is_loaded(&self, digest: Digest) -> bool {
        self.serving == digest || self.previous == Some(digest)
    }

    /// Handles the result of an adoption. `live` is the guest of the active generation now.
    pub(crate) fn adopted(&mut self, swap: &HerdSwap, result: Result<Adopted, NotAdopted>, live: Digest, now: Instant) {
        self.serving = live;
        // The herd may have moved on while the host was at work.
        let is_last = self.herd_state.swap.as_ref() == Some(swap);
        let result = match result {
            Err(NotAdopted::RetryLater(why)) => {
                tracing::info!(node = %self.node, swap = swap.number, why, "adoption of a herd swap postponed");
                self.adoption = Some(Adoption { swap: swap.clone(), started: false, not_before: now + RETRY_PAUSE });
                return;
            }
            Err(NotAdopted::Refused(mut why)) => {
                truncate(&mut why);
                Err(why)
            }
            // The new generation can fail its probation before the result of its activation arrives here. The node has
            // rolled back then, and in a small herd the herd has too.
            Ok(adopted) => match self.herd_state.rolled_back.get(&self.node).filter(|_| is_last) {
                Some(why) => Err(why.clone()),
                None if !is_last && live != swap.digest => Err(ROLLED_BACK_AT_ONCE.into()),
                None => Ok(adopted),
            },
        };
        self.adoption = None;
        // A restored rollback has the number of the swap that it undoes, and must not count as that swap.
        if self.herd_state.swap.as_ref().is_none_or(|last| last.number != swap.number || last == swap) {
            self.applied = self.applied.take().max(Some(swap.clone()));
        }
        // The attempt has served its purpose: its candidate is active now, or was refused for good.
        self.engagement.take_if(|engaged| engaged.candidate.digest() == Some(swap.digest));
        let node = self.node.clone();
        // An earlier result that waits for the disk would be lost with this one.
        self.report_adoption(None, now);
        self.unreported = Some(((swap.number, swap.digest), result.clone()));
        self.push(Action::Persist);
        if let Err(why) = result
            && is_last
        {
            // Refusals count towards the half of the herd that brings an automatic rollback.
            self.herd_state.rolled_back.insert(node, why);
            self.herd_state_changed(None, now);
        }
        self.release_unused();
        self.adopt_if_newer(now);
    }

    /// Tells the coordinator of the last adoption, once the attempt to write it has ended. `store_error` says why it failed.
    ///
    /// After the write, because the coordinator tells its operator which nodes would lose the swap at a restart.
    pub(crate) fn report_adoption(&mut self, store_error: Option<&str>, now: Instant) {
        let Some(((number, digest), result)) = self.unreported.take() else { return };
        let (node, mut not_stored) = (self.node.clone(), store_error.map(ToString::to_string));
        not_stored.iter_mut().for_each(truncate);
        // Only the coordinator reads this, for its answer to the operator. If it is lost, the node is reported as pending.
        self.broadcast(Broadcast::AdoptionResult {
            node: node.clone(),
            number,
            digest,
            result: result.clone(),
            not_stored: not_stored.clone(),
        });
        // A node does not receive its own broadcasts, and this one may be the coordinator.
        self.receive_adoption_result(&node, (number, digest), result, not_stored, now);
    }

    /// Notes that an operator of this node activated another guest here.
    ///
    /// The herd state and `applied` stay, so the choice holds until the herd swaps next.
    pub(crate) fn serving_changed(&mut self, digest: Digest) {
        self.serving = digest;
        self.push(Action::Persist);
    }

    /// Handles a rollback of this node by itself, from a guest to another.
    pub(crate) fn rolled_back(&mut self, from: Digest, to: Digest, mut why: String, now: Instant) {
        self.serving_changed(to);
        // A guest that this node's own operator activated is no matter of the herd.
        let Some(swap) = self.herd_state.swap.as_ref().filter(|swap| swap.digest == from) else { return };
        let is_adopted = self.applied.as_ref() == Some(swap);
        // The worker that counted the last fault may report before the thread that activated the guest.
        let is_being_adopted =
            self.adoption.as_ref().is_some_and(|adoption| adoption.started && adoption.swap == *swap);
        if is_adopted || is_being_adopted {
            truncate(&mut why);
            self.herd_state.rolled_back.insert(self.node.clone(), why);
            self.herd_state_changed(None, now);
        }
    }
}

/// Reason of a node whose new generation failed before its activation was reported.
const ROLLED_BACK_AT_ONCE: &str = "it was sent back at once, and so was the herd; herd audit says why";
/// Pause before another try at an adoption that something temporary prevented.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
