//! Part of a participant before the commit: it enlists in an attempt, makes the candidate ready, and votes.
//!
//! Knows nothing of how a guest is compiled; [`Action::Prepare`] asks the host.
//!
//! Bounds: one engagement; one candidate in preparation, also after its attempt was aborted.

use std::sync::Arc;
use std::time::Instant;

use herd_model::Digest;

use super::action::Action;
use super::engagement::{CandidateState, Engagement};
use super::message::{Attempt, Broadcast, Plan, Vote, truncate};
use super::participant::Participant;

impl Participant {
    /// Enlists in an attempt, or repeats the vote: the first one may have been lost.
    pub(crate) fn enlist(&mut self, attempt: Attempt, from: &str, now: Instant) {
        match &mut self.engagement {
            Some(engaged) if engaged.attempt == attempt => engaged.heard_at = now,
            // One attempt at a time: of two coordinators, at most one gets every vote.
            Some(engaged) => {
                let other = engaged.attempt.to_string();
                return self.vote(attempt, Vote::Busy(other), now);
            }
            // A preparation cannot be cancelled, and the host has room for one candidate.
            None if self.discard_pending => {
                let other = "an aborted swap, whose candidate is still being prepared".into();
                return self.vote(attempt, Vote::Busy(other), now);
            }
            None => {
                let candidate = CandidateState::Enlisted;
                self.engagement = Some(Engagement { attempt, heard_at: now, from: from.into(), candidate });
            }
        }
        self.repeat_vote(now);
    }

    /// Starts to make the candidate of an attempt ready.
    pub(crate) fn prepare_candidate(&mut self, attempt: Attempt, plan: Plan, from: &str, now: Instant) {
        // The node may have missed the start of the attempt, or come up after it.
        if !self.is_engaged_in(&attempt) {
            self.enlist(attempt.clone(), from, now);
        }
        let Some(engaged) = self.engagement.as_mut().filter(|engaged| engaged.attempt == attempt) else { return };
        // The coordinator repeats the plan with each heartbeat; it is acted upon once.
        if !matches!(engaged.candidate, CandidateState::Enlisted) {
            return;
        }
        (engaged.heard_at, engaged.from) = (now, from.into());
        engaged.candidate = CandidateState::Downloading(plan);
        self.continue_preparing(now);
    }

    /// Has the candidate prepared if its bytes are here, and downloads them otherwise.
    pub(crate) fn continue_preparing(&mut self, now: Instant) {
        let Some(engaged) = &self.engagement else { return };
        let CandidateState::Downloading(plan) = &engaged.candidate else { return };
        let (attempt, from, plan) = (engaged.attempt.clone(), engaged.from.clone(), plan.clone());
        match self.guests.find(plan.digest) {
            Some(guest) => {
                // In memory until the end of the attempt, because neighbours download it from here.
                self.guests.cache(plan.digest, Arc::clone(&guest));
                self.set_candidate(CandidateState::Preparing(plan.clone()));
                self.push(Action::Prepare { attempt, plan, guest });
            }
            // The node that forwarded the plan has the guest or is downloading it, so it is asked first.
            None => self.start_download(plan.digest, &from, now),
        }
    }

    /// Handles the result of a preparation.
    pub(crate) fn prepared(&mut self, attempt: &Attempt, digest: Digest, prepared: Result<(), String>, now: Instant) {
        self.discard_pending = false;
        let plan = match &self.engagement {
            Some(Engagement { attempt: engaged, candidate: CandidateState::Preparing(plan), .. })
                if engaged == attempt =>
            {
                plan.clone()
            }
            // The attempt ended while the host was at work. The candidate would occupy the only place.
            _ => {
                if prepared.is_ok() {
                    let why = "the swap was aborted".into();
                    self.push(Action::Abort { digest, who: attempt.to_string(), why });
                }
                return;
            }
        };
        self.set_candidate(match prepared {
            Ok(()) => CandidateState::Ready(plan),
            Err(mut why) => {
                truncate(&mut why);
                CandidateState::Refused(plan, why)
            }
        });
        self.repeat_vote(now);
        // The herd may have committed without this node's vote, if it was cut off. The adoption waited for this candidate.
        self.adopt_if_newer(now);
    }

    /// Ends the engagement without a swap.
    pub(crate) fn abort_engagement(&mut self, why: &str) {
        let Some(engaged) = self.engagement.take() else { return };
        match engaged.candidate {
            CandidateState::Ready(plan) => {
                let (who, why) = (engaged.attempt.to_string(), why.into());
                self.push(Action::Abort { digest: plan.digest, who, why });
            }
            CandidateState::Preparing(_) => self.discard_pending = true,
            CandidateState::Enlisted | CandidateState::Downloading(_) | CandidateState::Refused(..) => {}
        }
        self.release_unused();
    }

    /// Votes as the state of the candidate says.
    fn repeat_vote(&mut self, now: Instant) {
        let Some(engaged) = &self.engagement else { return };
        let vote = match &engaged.candidate {
            CandidateState::Enlisted | CandidateState::Downloading(_) | CandidateState::Preparing(_) => {
                Vote::Enlisted(self.herd_state.number())
            }
            CandidateState::Ready(_) => Vote::Ready,
            CandidateState::Refused(_, why) => Vote::Refused(why.clone()),
        };
        self.vote(engaged.attempt.clone(), vote, now);
    }

    fn vote(&mut self, attempt: Attempt, vote: Vote, now: Instant) {
        let node = self.node.clone();
        // A node does not receive its own broadcasts.
        if attempt.coordinator == node {
            self.receive_vote(&attempt, &node, vote, now);
        } else {
            self.broadcast(Broadcast::Vote { attempt, node, vote });
        }
    }

    fn set_candidate(&mut self, candidate: CandidateState) {
        if let Some(engaged) = &mut self.engagement {
            engaged.candidate = candidate;
        }
    }
}
