//! Coordinator of a proposal: enlists every node, has the guest made ready on all that answer, and commits if none refuses.
//!
//! ```text
//! enlisting -> preparing -> committed -> answered        (a rollback of the herd needs no preparing)
//!    |             '-- a node refused, or the herd swapped meanwhile: aborted
//!    '-- a node takes part in another attempt: backs off, and enlists again
//! ```
//!
//! A rollback goes before a swap that has not committed: participants leave the swap, and its coordinator ends it. Whoever
//! rolls back sees harm done now, and the swap may be that of a coordinator that died.
//!
//! Unlike textbook two-phase commit, the coordinator does not wait for absent nodes, and participants never ask it for the
//! decision. The decision is the herd state, which every node spreads; so the coordinator may die at any moment without
//! blocking anyone. Of two proposals at once one commits; the other one is aborted, and is retried only if the first did not
//! commit, because its operator has not seen what serves now.
//!
//! Knows nothing of how votes and results travel, and nothing of the host.
//!
//! Bounds: one proposal per node, and a deadline for every phase. Those that wait behind it are in `propose`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use herd_model::{Digest, RollbackOptions};

use super::action::Action;
use super::herd_state::{DISCARDS_MAX, HerdState, HerdSwap, NUMBERS_AHEAD_MAX, SwapSignatures};
use super::message::{Adopted, Attempt, Broadcast, Goal, Message, Vote};
use super::outcome::{NodeOutcome, NotSwapped, Outcome, PREPARE_MAX};
use super::participant::Participant;
use super::proposal::{AdoptionResult, Operation, Phase, Proposal};

impl Participant {
    pub(crate) fn enlist_all(&mut self, attempt: Attempt, now: Instant) {
        self.broadcast(Broadcast::Enlist(attempt.clone()));
        let node = self.node.clone();
        self.enlist(attempt, &node, now);
    }

    /// Counts the vote of a node.
    pub(crate) fn receive_vote(&mut self, attempt: &Attempt, node: &str, vote: Vote, now: Instant) {
        let is_configured = self.nodes.contains(node);
        // The commit takes the highest number plus one. Peers would drop a herd state with a number this high.
        let implausible = self.herd_state.number().saturating_add(NUMBERS_AHEAD_MAX);
        if matches!(vote, Vote::Enlisted(number) if number > implausible) {
            return;
        }
        if attempt.coordinator == self.node && attempt.run != self.run {
            // Of a run before the restart of this node, which remembers nothing of it. What it committed is in the herd
            // state, so what the participant still waits for did not commit.
            self.broadcast(Broadcast::Abort(attempt.clone(), "the coordinator was restarted".into()));
            return;
        }
        let proposal = self.proposal.as_mut().filter(|proposal| proposal.attempt == *attempt && is_configured);
        let Some(proposal) = proposal else { return };
        // It was silent and is back, in time for its vote to count.
        proposal.unreachable.remove(node);
        if let Vote::Enlisted(number) = vote {
            proposal.number_highest = proposal.number_highest.max(number);
        }
        proposal.votes.insert(node.into(), (vote, now));
        self.continue_proposal(now);
    }

    /// Measures the silence of participants, and of the coordinator, from now on.
    pub(crate) fn reset_silence(&mut self, now: Instant) {
        if let Some(engaged) = &mut self.engagement {
            engaged.heard_at = now;
        }
        if let Some(proposal) = &mut self.proposal {
            proposal.votes.values_mut().for_each(|(_, heard_at)| *heard_at = now);
        }
    }

    /// Notes that a node has adopted the committed swap, or could not.
    pub(crate) fn receive_adoption_result(
        &mut self,
        node: &str,
        (number, digest): (u64, Digest),
        result: Result<Adopted, String>,
        not_stored: Option<String>,
        now: Instant,
    ) {
        if let Some(Proposal { phase: Phase::Committed { swap, results, .. }, .. }) = &mut self.proposal
            && (swap.number, swap.digest) == (number, digest)
            && self.nodes.contains(node)
        {
            results.insert(node.into(), AdoptionResult { result, not_stored });
            self.continue_proposal(now);
        }
    }

    /// Takes the step of the proposal that is due. Called after each vote, result and change of the herd state, and by ticks.
    pub(crate) fn continue_proposal(&mut self, now: Instant) {
        let Some(proposal) = &mut self.proposal else { return };
        let (attempt, started) = (proposal.attempt.clone(), proposal.started);
        let newer = self.herd_state.swap.clone().filter(|swap| Some(swap) != proposal.base.as_ref());
        // After the own commit a newer swap is this one, or one that has followed it.
        if let (Some(swap), false) = (newer, matches!(proposal.phase, Phase::Committed { .. })) {
            // The operator decided on the base of what served then. To replace a swap unseen would be a lost update.
            self.abort_attempt(attempt, "the herd swapped to another guest");
            return self.end_proposal(Err(superseded_by(swap)));
        }
        match &mut proposal.phase {
            Phase::Enlisting { until } => {
                if let Some(other) = proposal.votes.values().find_map(|(vote, _)| vote.busy_with()) {
                    let other = other.to_string();
                    // Two coordinators that each hold some nodes would block each other. Both let go, and a random pause
                    // keeps them from meeting again.
                    let backoff = BACKOFF_MIN + BACKOFF_MIN.mul_f64(3.0 * share((self.random)()));
                    proposal.phase = Phase::BackingOff { until: now + backoff, other };
                    self.abort_attempt(attempt, "another swap is in progress");
                } else if proposal.votes.len() == self.nodes.len() || now >= *until {
                    self.finish_enlisting(now);
                }
            }
            Phase::BackingOff { until, other } => {
                if now >= started + OTHER_SWAP_MAX {
                    let other = other.clone();
                    self.end_proposal(Err(NotSwapped::OtherSwap(other)));
                } else if now >= *until {
                    self.retry(now);
                }
            }
            Phase::Preparing { .. } => self.check_votes(attempt, now),
            Phase::Committed { until, results, .. } => {
                let is_settled = |node: &String| results.contains_key(node) || proposal.unreachable.contains(node);
                if now >= *until || proposal.votes.keys().all(is_settled) {
                    self.finish();
                }
            }
        }
    }

    /// Starts another attempt at the proposal.
    fn retry(&mut self, now: Instant) {
        let Some(Attempt { who, goal, .. }) = self.proposal.as_ref().map(|proposal| proposal.attempt.clone()) else {
            return;
        };
        // With a new number: votes and aborts of the last attempt may still be on their way.
        let attempt = self.new_attempt(&who, goal);
        if let Some(proposal) = &mut self.proposal {
            proposal.attempt = attempt.clone();
            proposal.votes.clear();
            proposal.number_highest = 0;
            proposal.phase = Phase::Enlisting { until: now + ENLIST_MAX };
        }
        self.enlist_all(attempt, now);
    }

    /// Goes on once every node that can be reached takes part.
    fn finish_enlisting(&mut self, now: Instant) {
        let Some(proposal) = &mut self.proposal else { return };
        let attempt = proposal.attempt.clone();
        if proposal.number_highest > self.herd_state.number() {
            // A participant knows of a swap that this node has not heard of, so its operator has not seen it either, and the
            // guest before the last swap may be another one. Whoever knows more answers an old state with the new one, which
            // supersedes this proposal.
            proposal.phase = Phase::BackingOff { until: now + BACKOFF_MIN, other: UNHEARD.into() };
            self.abort_attempt(attempt, UNHEARD);
            return self.push(Action::SendToAll(None, Message::HerdState(self.herd_state.clone())));
        }
        match proposal.operation.clone() {
            Operation::Swap(plan) => {
                proposal.phase = Phase::Preparing { refused_at: None };
                proposal.enlist_at = now + ENLIST_EVERY;
                let node = self.node.clone();
                // Before the own candidate: the others download and compile at the same time.
                self.broadcast(Broadcast::Prepare(attempt.clone(), plan.clone()));
                self.prepare_candidate(attempt, plan, &node, now);
            }
            // The participants have served that guest and kept its bytes, so no vote on it is needed. Enlisting has locked
            // out other proposals all the same, and has brought the highest number.
            Operation::RollBack(_) => {
                let Some(last) = self.herd_state.swap.clone() else { return };
                let Goal::RollBack(digest) = attempt.goal else { return };
                let SwapSignatures { swap, previous } = self.herd_state.signatures;
                let signatures = SwapSignatures { swap: previous, previous: swap };
                self.commit(digest, Some(last.digest), (None, signatures), now);
            }
        }
    }

    /// Commits if every participant is ready, aborts if one refused or the time is up, and sends heartbeats otherwise.
    fn check_votes(&mut self, attempt: Attempt, now: Instant) {
        let Some(proposal) = &mut self.proposal else { return };
        let Phase::Preparing { refused_at } = &mut proposal.phase else { return };
        // A node that fell silent has not refused: it is absent, and adopts the swap when it is back. Waiting for it would
        // let one dead node block every swap.
        let is_silent = |(_, heard_at): &(Vote, Instant)| now.duration_since(*heard_at) >= SILENCE_MAX;
        let others = proposal.votes.iter().filter(|(node, _)| **node != self.node);
        let silent = others.filter(|(_, vote)| is_silent(vote)).map(|(node, _)| node.clone());
        proposal.unreachable.extend(silent.collect::<Vec<_>>());
        let present = proposal.votes.iter().filter(|(node, _)| !proposal.unreachable.contains(*node));
        let votes: Vec<(&String, &Vote)> = present.map(|(node, (vote, _))| (node, vote)).collect();
        let refusals: BTreeMap<String, String> =
            votes.iter().filter_map(|(node, vote)| Some(((*node).clone(), vote.refusal()?))).collect();
        let pending: Vec<String> =
            votes.iter().filter(|(_, vote)| vote.is_pending()).map(|(node, _)| (*node).clone()).collect();
        if !refusals.is_empty() {
            let since = *refused_at.get_or_insert(now);
            // A guest that one node refuses is often refused by all. A moment more tells the operator so in one answer.
            if pending.is_empty() || now >= since + REFUSALS_MAX {
                let (node, why) = refusals.first_key_value().expect("the map is not empty");
                self.abort_attempt(attempt, &format!("{node} refused: {why}"));
                self.end_proposal(Err(NotSwapped::Refused(refusals)));
            }
        } else if pending.is_empty() {
            let Operation::Swap(plan) = proposal.operation.clone() else { return };
            let known = self.herd_state.signatures;
            let (previous, previous_signatures) = match &self.herd_state.swap {
                // The same guest again: a rollback should not return to itself.
                Some(swap) if swap.digest == plan.digest => (swap.previous, known.previous),
                Some(swap) => (Some(swap.digest), known.swap),
                // The first swap of the herd, whose nodes serve the guest of their configuration. This node may serve another
                // one, to which an operator swapped it alone; the herd never did.
                None => {
                    (Some(self.configured), self.guests.signatures(self.configured).map(|bytes| Digest::of(&bytes)))
                }
            };
            let signatures = SwapSignatures { swap: plan.signatures, previous: previous_signatures };
            self.commit(plan.digest, previous, (plan.transcripts, signatures), now);
        } else if now >= proposal.started + PREPARE_MAX {
            self.abort_attempt(attempt, "the guest was not ready everywhere in time");
            self.end_proposal(Err(NotSwapped::TimedOut(pending)));
        } else if now >= proposal.enlist_at {
            proposal.enlist_at = now + ENLIST_EVERY;
            let operation = proposal.operation.clone();
            // The heartbeat: participants learn that the coordinator lives, and their votes tell it that they do.
            self.enlist_all(attempt.clone(), now);
            // For nodes that came up meanwhile, or lost the first one.
            if let Operation::Swap(plan) = operation {
                self.broadcast(Broadcast::Prepare(attempt.clone(), plan.clone()));
                // A node does not receive its own broadcasts, and this one may have lost its part in the attempt, too.
                let node = self.node.clone();
                self.prepare_candidate(attempt, plan, &node, now);
            }
        }
    }

    /// Makes a swap the herd's. Nothing takes it back from here on; another swap can follow it.
    fn commit(
        &mut self,
        digest: Digest,
        previous: Option<Digest>,
        (transcripts, signatures): (Option<Digest>, SwapSignatures),
        now: Instant,
    ) {
        let Some(proposal) = &mut self.proposal else { return };
        // Above every number that a participant knows, so that this swap wins on all of them.
        let number = proposal.number_highest.max(self.herd_state.number()).saturating_add(1);
        let (attempt, force) = match &proposal.operation {
            Operation::Swap(plan) => (proposal.attempt.id(), plan.options.force),
            // No node has voted on its guest.
            Operation::RollBack(_) => (0, false),
        };
        // Those of earlier rollbacks too: a node that was away since learns of the last swap only.
        let undone = self.herd_state.swap.as_ref();
        let mut discards = undone.map(|swap| swap.discards.clone()).unwrap_or_default();
        if let Operation::RollBack(RollbackOptions { discard_records: true }) = proposal.operation {
            discards.extend(undone.map(HerdSwap::id));
        }
        discards.drain(..discards.len().saturating_sub(DISCARDS_MAX));
        let who = proposal.attempt.to_string();
        let swap = HerdSwap { number, digest, previous, who, attempt, force, transcripts, discards };
        // Before the herd state changes: that continues the proposal, which must not take its own swap for another one.
        proposal.phase = Phase::Committed { swap: swap.clone(), until: now + ADOPT_MAX, results: BTreeMap::new() };
        let (attempt, is_rollback) = (proposal.attempt.clone(), matches!(proposal.operation, Operation::RollBack(_)));
        self.herd_state.merge(HerdState { swap: Some(swap), signatures, ..HerdState::default() });
        self.herd_state_changed(None, now);
        if is_rollback {
            // Adoption ends the engagements in a swap, by the digest of their candidate. Those in a rollback have none.
            self.abort_attempt(attempt, "it is over");
        }
    }

    /// Answers with the result on each node.
    pub(crate) fn finish(&mut self) {
        let Some(proposal) = &self.proposal else { return };
        let Phase::Committed { swap, results, .. } = &proposal.phase else { return };
        let outcome = |node: &String| match results.get(node) {
            Some(AdoptionResult { result: Ok(Adopted { generation, name, unread, discarded }), not_stored }) => {
                let (discarded, not_discarded) = match discarded.clone() {
                    Some(Err(why)) => (None, Some(why)),
                    discarded => (discarded.and_then(Result::ok), None),
                };
                NodeOutcome::Serving {
                    generation: *generation,
                    name: name.clone(),
                    unread: *unread,
                    not_stored: not_stored.clone(),
                    discarded,
                    not_discarded,
                }
            }
            Some(AdoptionResult { result: Err(why), .. }) => NodeOutcome::RolledBack(why.clone()),
            None if proposal.votes.contains_key(node) && !proposal.unreachable.contains(node) => NodeOutcome::Pending,
            None => NodeOutcome::Absent,
        };
        let nodes = self.nodes.iter().map(|node| (node.clone(), outcome(node))).collect();
        let swap = swap.clone();
        self.end_proposal(Ok(Outcome { swap, nodes }));
    }

    /// Aborts an attempt on every node. A node that misses the broadcast drops its candidate when the heartbeats stay away.
    pub(crate) fn abort_attempt(&mut self, attempt: Attempt, why: &str) {
        self.broadcast(Broadcast::Abort(attempt.clone(), why.into()));
        if self.is_engaged_in(&attempt) {
            self.abort_engagement(why);
        }
    }

    pub(crate) fn end_proposal(&mut self, answer: Result<Outcome, NotSwapped>) {
        if let Some(proposal) = self.proposal.take() {
            self.answer(proposal.id, answer);
        }
    }

    pub(crate) fn answer(&mut self, id: u64, answer: Result<Outcome, NotSwapped>) {
        self.push(Action::Answer(id, answer));
    }

    pub(crate) fn new_attempt(&mut self, who: &str, goal: Goal) -> Attempt {
        self.attempts += 1;
        Attempt { coordinator: self.node.clone(), run: self.run, number: self.attempts, who: who.into(), goal }
    }
}

pub(crate) fn superseded_by(HerdSwap { number, digest, who, .. }: HerdSwap) -> NotSwapped {
    NotSwapped::Superseded { number, digest: digest.short(), who }
}

/// Random bits as a fraction of 1.
#[allow(clippy::cast_precision_loss, reason = "the length of a pause needs no more")]
fn share(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Reason for another attempt of a coordinator that lacks the last swap.
const UNHEARD: &str = "its coordinator has not heard of the last swap of the herd";
/// Time for nodes to enlist. It passes in full only if a configured node is absent.
pub(crate) const ENLIST_MAX: Duration = Duration::from_secs(1);
/// Interval of heartbeats.
pub(crate) const ENLIST_EVERY: Duration = Duration::from_secs(1);
/// Silence after which a participant counts as absent: five heartbeats without a vote.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Time after the first refusal in which further ones are collected.
const REFUSALS_MAX: Duration = Duration::from_secs(1);
/// Time for participants to report their adoption. Activating a prepared candidate takes milliseconds.
const ADOPT_MAX: Duration = Duration::from_secs(10);
/// Shortest pause before the next attempt; the longest is four times that.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Time after which a proposal that finds nodes busy, or waits behind another one, is refused.
pub(crate) const OTHER_SWAP_MAX: Duration = Duration::from_secs(5);
