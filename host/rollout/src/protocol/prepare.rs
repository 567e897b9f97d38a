//! Making a candidate ready for a swap of the herd, and voting on it.

use std::sync::Arc;
use std::time::Instant;

use herd_model::Digest;

use super::action::Action;
use super::engagement::{CandidateState, Engagement};
use super::message::{Attempt, Broadcast, Plan, Vote, truncate};
use super::participant::Participant;

impl Participant {
    pub(crate) fn enlist(&mut self, attempt: Attempt, from: &str, now: Instant) {
        match &mut self.engaged {
            Some(engaged) if engaged.attempt == attempt => engaged.heard_at = now,
            Some(engaged) => {
                let other = engaged.attempt.to_string();
                return self.vote(attempt, Vote::Busy(other), now);
            }
            None if self.discard_pending => {
                let other = "a swap that was given up, whose candidate is still being made ready".into();
                return self.vote(attempt, Vote::Busy(other), now);
            }
            None => {
                self.engaged =
                    Some(Engagement { attempt, heard_at: now, from: from.into(), candidate: CandidateState::Enlisted });
            }
        }
        self.repeat_vote(now);
    }

    pub(crate) fn prepare_candidate(&mut self, attempt: Attempt, plan: Plan, from: &str, now: Instant) {
        if !self.is_engaged_in(&attempt) {
            self.enlist(attempt.clone(), from, now);
        }
        let Some(engaged) = self.engaged.as_mut().filter(|engaged| engaged.attempt == attempt) else { return };
        if !matches!(engaged.candidate, CandidateState::Enlisted) {
            return;
        }
        (engaged.heard_at, engaged.from) = (now, from.into());
        engaged.candidate = CandidateState::Downloading(plan);
        self.continue_preparing(now);
    }

    /// Orders the candidate if its bytes are there, and fetches them if not.
    pub(crate) fn continue_preparing(&mut self, now: Instant) {
        let Some(Engagement { attempt, from, candidate: CandidateState::Downloading(plan), .. }) = &self.engaged else {
            return;
        };
        let (attempt, from, plan) = (attempt.clone(), from.clone(), plan.clone());
        match self.guests.find(plan.digest) {
            Some(guest) => {
                self.guests.cache(plan.digest, Arc::clone(&guest));
                self.set_candidate(CandidateState::Preparing(plan.clone()));
                self.push(Action::Prepare { attempt, plan, guest });
            }
            None => self.start_download(plan.digest, &from, now),
        }
    }

    /// What came of making a candidate ready.
    pub(crate) fn prepared(&mut self, attempt: &Attempt, digest: Digest, prepared: Result<(), String>, now: Instant) {
        self.discard_pending = false;
        let plan = match &self.engaged {
            Some(Engagement { attempt: engaged, candidate: CandidateState::Preparing(plan), .. })
                if engaged == attempt =>
            {
                plan.clone()
            }
            _ => {
                if prepared.is_ok() {
                    let why = "the swap was given up".into();
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
        self.adopt_if_newer(now);
    }

    /// Says how this node stands to the swap that it takes part in.
    fn repeat_vote(&mut self, now: Instant) {
        let Some(engaged) = &self.engaged else { return };
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
        if attempt.coordinator == node {
            self.receive_vote(&attempt, &node, vote, now);
        } else {
            self.broadcast(Broadcast::Vote { attempt, node, vote });
        }
    }

    /// Ends what this node takes part in without a swap.
    pub(crate) fn abort_engagement(&mut self, why: &str) {
        let Some(engaged) = self.engaged.take() else { return };
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

    fn set_candidate(&mut self, candidate: CandidateState) {
        if let Some(engaged) = &mut self.engaged {
            engaged.candidate = candidate;
        }
    }
}
