//! Part of a participant before the commit: it enlists in an attempt, makes the candidate ready, and votes.
//!
//! Knows nothing of how a guest is compiled; [`Action::Prepare`] asks the host.
//!
//! Bounds: one engagement; one candidate in preparation, also after its attempt was aborted.

use std::time::Instant;

use herd_model::Digest;

use super::action::Action;
use super::engagement::{CandidateState, Engagement};
use super::guest_store::{FileDigests, StoredFiles};
use super::message::{Attempt, Broadcast, Goal, Plan, Vote, truncate};
use super::participant::Participant;

impl Participant {
    /// Enlists in an attempt, or repeats the vote: the first one may have been lost.
    pub(crate) fn enlist(&mut self, attempt: Attempt, from: &str, now: Instant) {
        self.preempt(&attempt);
        match &mut self.engagement {
            Some(engaged) if engaged.attempt == attempt => engaged.heard_at = now,
            // One attempt at a time: of two coordinators, at most one gets every vote.
            Some(engaged) => {
                let other = engaged.attempt.describe();
                return self.vote(attempt, Vote::Busy(other), now);
            }
            None => {
                let candidate = match &self.preparation {
                    // This node had given the attempt up while the coordinator was silent, and the host is still at work.
                    Some((preparing, plan)) if *preparing == attempt => CandidateState::Preparing(plan.clone()),
                    // A preparation cannot be cancelled, and the host has room for one candidate. A rollback needs no room.
                    Some(_) if matches!(attempt.goal, Goal::Swap(_)) => {
                        let other = "an aborted swap, whose candidate is still being prepared".into();
                        return self.vote(attempt, Vote::Busy(other), now);
                    }
                    _ => CandidateState::Enlisted,
                };
                self.engagement = Some(Engagement { attempt, heard_at: now, from: from.into(), candidate });
            }
        }
        self.repeat_vote(now);
    }

    /// Ends what must not stand in the way of an attempt: an earlier one of the same coordinator, whose end this node has
    /// missed, and swaps that a rollback goes before.
    fn preempt(&mut self, attempt: &Attempt) {
        let Some(engaged) = &self.engagement else { return };
        if attempt.follows(&engaged.attempt) {
            return self.abort_engagement(ATTEMPT_OVER);
        }
        if attempt.preempts(&engaged.attempt) {
            let who = attempt.to_string();
            self.cancel_swap(&who);
            self.abort_engagement(&preempted_by(&who));
        }
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

    /// Starts the preparation of the candidate if its bytes are here, and downloads them otherwise.
    pub(crate) fn continue_preparing(&mut self, now: Instant) {
        let Some(engaged) = &self.engagement else { return };
        let CandidateState::Downloading(plan) = &engaged.candidate else { return };
        let (attempt, from, plan) = (engaged.attempt.clone(), engaged.from.clone(), plan.clone());
        if self.adoption.as_ref().is_some_and(|adoption| adoption.started && adoption.swap.attempt == attempt.id()) {
            // The herd has committed and the host is activating this very guest. A rehearsal that ends later could only refuse
            // what serves already.
            return;
        }
        match self.guests.files(plan.files()) {
            Ok(files) => {
                // In memory until the end of the attempt, because neighbours download them from here.
                self.cache(plan.files(), &files);
                self.set_candidate(CandidateState::Preparing(plan.clone()));
                self.preparation = Some((attempt.clone(), plan.clone()));
                self.push(Action::Prepare { attempt, plan, files });
            }
            // The node that forwarded the plan has the guest or is downloading it, so it is asked first.
            Err(missing) => self.start_download(missing, &from, now),
        }
    }

    /// Holds a guest and what came beside it in memory for as long as the protocol needs them.
    pub(crate) fn cache(&mut self, digests: FileDigests, files: &StoredFiles) {
        self.guests.cache(digests.guest, files.guest.clone());
        for (digest, bytes) in digests.transcripts.iter().zip(&files.transcripts) {
            self.guests.cache(*digest, bytes.clone());
        }
        if let Some(signatures) = &files.signatures {
            self.guests.sign(digests.guest, signatures.clone());
        }
    }

    /// Handles the result of a preparation.
    pub(crate) fn prepared(
        &mut self,
        attempt: &Attempt,
        digest: Digest,
        mut prepared: Result<(), String>,
        now: Instant,
    ) {
        let plan = self.preparation.take().map(|(_, plan)| plan);
        self.refusals.retain(|(id, _)| *id != attempt.id());
        if let Err(why) = &mut prepared {
            truncate(why);
            // Also without an engagement: the coordinator may commit without this node, which must not serve then what it has
            // found bad itself.
            self.refusals.push_back((attempt.id(), why.clone()));
            if self.refusals.len() > REFUSALS_MAX {
                self.refusals.pop_front();
            }
        }
        let is_preparing = self.engagement.as_ref().is_some_and(|engaged| {
            engaged.attempt == *attempt && matches!(engaged.candidate, CandidateState::Preparing(_))
        });
        // The attempt ended for this node while the host was at work, and the herd may have committed it all the same.
        let is_needed = self.engagement.is_none() && self.adoption_needs(digest);
        match (prepared, plan) {
            (Ok(()), Some(plan)) if is_preparing => self.set_candidate(CandidateState::Ready(plan)),
            (Err(why), Some(plan)) if is_preparing => self.set_candidate(CandidateState::Refused(plan, why)),
            (Ok(()), Some(plan)) if is_needed => {
                let (candidate, from) = (CandidateState::Ready(plan), self.state_source.clone());
                self.engagement = Some(Engagement { attempt: attempt.clone(), heard_at: now, from, candidate });
            }
            (Ok(()), _) => {
                // It would occupy the only place.
                let why = "the swap was aborted".into();
                self.push(Action::Abort { digest, who: attempt.to_string(), why });
            }
            (Err(_), _) => {}
        }
        if is_preparing {
            self.repeat_vote(now);
        }
        // The herd may have committed without this node's vote, if it was cut off. The adoption waited for this candidate.
        self.adopt_if_newer(now);
        self.continue_adopting(now);
    }

    /// Ends the engagement without a swap.
    pub(crate) fn abort_engagement(&mut self, why: &str) {
        let Some(engaged) = self.engagement.take() else { return };
        let adopting = self.adoption.as_ref().filter(|adoption| adoption.started).map(|adoption| adoption.swap.digest);
        match engaged.candidate {
            // The host is about to activate it, for another attempt at the same guest, and must find it.
            CandidateState::Ready(plan) if adopting == Some(plan.digest) => {}
            CandidateState::Ready(plan) => {
                let (who, why) = (engaged.attempt.to_string(), why.into());
                self.push(Action::Abort { digest: plan.digest, who, why });
            }
            // The host is at work; `prepared` drops the candidate.
            CandidateState::Preparing(_)
            | CandidateState::Enlisted
            | CandidateState::Downloading(_)
            | CandidateState::Refused(..) => {}
        }
        self.release_unused();
    }

    /// Votes as the state of the candidate says.
    pub(crate) fn repeat_vote(&mut self, now: Instant) {
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

/// Reason for the end of a candidate when a rollback goes first.
pub(crate) fn preempted_by(who: &str) -> String {
    format!("a rollback of the herd goes first ({who})")
}

/// Reason for the end of a candidate whose coordinator has begun anew.
const ATTEMPT_OVER: &str = "its coordinator began another attempt";
/// Attempts whose refusal by this node is remembered. A node takes part in one at a time, so one whose commit can still arrive is
/// among the last few.
const REFUSALS_MAX: usize = 8;
