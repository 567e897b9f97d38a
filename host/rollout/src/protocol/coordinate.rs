//! The asking node's part: calls every node, has the guest made ready on all that answer, and commits if all are.
//!
//! ```text
//! calling -> preparing -> settling -> answered        (a rollback needs no preparing)
//!    |           '-- somebody refused, or the herd swapped meanwhile: given up
//!    '-- another swap is first: rests a moment and calls again
//! ```
//!
//! Of two swaps at once one comes first. The other one is given up everywhere, and tries again only if the first did not
//! come to anything: whoever asked for it has not seen what serves now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use herd_model::Digest;

use super::action::Action;
use super::herd_state::{HerdState, HerdSwap, NUMBERS_AHEAD_MAX};
use super::message::{Adopted, Attempt, Broadcast, Vote};
use super::outcome::{NodeOutcome, NotSwapped, Outcome, PREPARE_MAX};
use super::participant::Participant;
use super::proposal::{Operation, Phase, Proposal};

impl Participant {
    /// A swap is asked for at this node.
    pub(crate) fn propose(&mut self, operation: Operation, who: &str, now: Instant) {
        if self.proposal.is_some() {
            return self.answer(Err(NotSwapped::Busy));
        }
        if let Operation::RollBack = operation {
            match &self.herd_state.swap {
                None => return self.answer(Err(NotSwapped::NoPrevious)),
                Some(HerdSwap { previous: None, .. }) => return self.answer(Err(NotSwapped::RolledBackItself)),
                Some(_) => {}
            }
        }
        let attempt = self.new_attempt(who);
        self.proposal = Some(Proposal {
            operation,
            attempt: attempt.clone(),
            phase: Phase::Enlisting { until: now + ENLIST_MAX },
            started: now,
            base: self.herd_state.swap.clone(),
            number_highest: 0,
            enlist_at: now + ENLIST_EVERY,
            votes: BTreeMap::new(),
            unreachable: BTreeSet::new(),
        });
        self.enlist_all(attempt, now);
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn cancel_proposal(&mut self) {
        if let Some(proposal) = self.proposal.take() {
            if !matches!(proposal.phase, Phase::Committed { .. }) {
                self.abort_attempt(proposal.attempt, "the node that was asked stops");
            }
            self.answer(Err(NotSwapped::Stopping));
        }
    }

    fn enlist_all(&mut self, attempt: Attempt, now: Instant) {
        self.broadcast(Broadcast::Enlist(attempt.clone()));
        let node = self.node.clone();
        self.enlist(attempt, &node, now);
    }

    /// A node stands to a round like this.
    pub(crate) fn receive_vote(&mut self, attempt: &Attempt, node: &str, vote: Vote, now: Instant) {
        let known = self.nodes.contains(node);
        // Nobody would take a swap of such a number for one.
        let absurd = self.herd_state.number().saturating_add(NUMBERS_AHEAD_MAX);
        if matches!(vote, Vote::Enlisted(number) if number > absurd) {
            return;
        }
        let Some(proposal) = self.proposal.as_mut().filter(|proposal| proposal.attempt == *attempt && known) else {
            return;
        };
        proposal.unreachable.remove(node);
        if let Vote::Enlisted(number) = vote {
            proposal.number_highest = proposal.number_highest.max(number);
        }
        proposal.votes.insert(node.into(), (vote, now));
        self.continue_proposal(now);
    }

    /// Counts the silence of others from now on: this node did not listen.
    pub(crate) fn reset_silence(&mut self, now: Instant) {
        if let Some(proposal) = &mut self.proposal {
            proposal.votes.values_mut().for_each(|(_, heard)| *heard = now);
        }
    }

    /// A node has taken up a swap, or has not.
    pub(crate) fn receive_adoption_result(
        &mut self,
        node: &str,
        number: u64,
        came: Result<Adopted, String>,
        now: Instant,
    ) {
        if let Some(Proposal { phase: Phase::Committed { swap, results, .. }, .. }) = &mut self.proposal
            && swap.number == number
            && self.nodes.contains(node)
        {
            results.insert(node.into(), came);
            self.continue_proposal(now);
        }
    }

    /// Does what is due of a swap that this node was asked for.
    pub(crate) fn continue_proposal(&mut self, now: Instant) {
        let Some(proposal) = &mut self.proposal else { return };
        let (attempt, started) = (proposal.attempt.clone(), proposal.started);
        let meanwhile = self.herd_state.swap.clone().filter(|swap| Some(swap) != proposal.base.as_ref());
        if let (Some(swap), false) = (meanwhile, matches!(proposal.phase, Phase::Committed { .. })) {
            let HerdSwap { number, digest, who, .. } = swap;
            self.abort_attempt(attempt, "the herd swapped to something else");
            return self.end_proposal(Err(NotSwapped::Superseded { number, digest: digest.short(), who }));
        }
        match &mut proposal.phase {
            Phase::Enlisting { until } => {
                if let Some(other) = proposal.votes.values().find_map(|(vote, _)| vote.busy_with()) {
                    let other = other.to_string();
                    let backoff = BACKOFF_MIN + BACKOFF_MIN.mul_f64(3.0 * share((self.random)()));
                    proposal.phase = Phase::BackingOff { until: now + backoff, other };
                    self.abort_attempt(attempt, "another swap is first");
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

    fn retry(&mut self, now: Instant) {
        let Some(who) = self.proposal.as_ref().map(|proposal| proposal.attempt.who.clone()) else { return };
        let attempt = self.new_attempt(&who);
        if let Some(proposal) = &mut self.proposal {
            proposal.attempt = attempt.clone();
            proposal.votes.clear();
            proposal.phase = Phase::Enlisting { until: now + ENLIST_MAX };
        }
        self.enlist_all(attempt, now);
    }

    /// Everybody who can be reached takes part.
    fn finish_enlisting(&mut self, now: Instant) {
        let Some(proposal) = &mut self.proposal else { return };
        let attempt = proposal.attempt.clone();
        match proposal.operation.clone() {
            Operation::Swap(plan) => {
                proposal.phase = Phase::Preparing { refused_at: None };
                proposal.enlist_at = now + ENLIST_EVERY;
                let node = self.node.clone();
                self.broadcast(Broadcast::Prepare(attempt.clone(), plan.clone()));
                self.prepare_candidate(attempt, plan, &node, now);
            }
            Operation::RollBack => {
                let Some(last) = self.herd_state.swap.clone() else { return };
                let Some(digest) = last.previous else { return };
                self.commit_to(digest, Some(last.digest), now);
            }
        }
    }

    fn check_votes(&mut self, attempt: Attempt, now: Instant) {
        let Some(proposal) = &mut self.proposal else { return };
        let Phase::Preparing { refused_at } = &mut proposal.phase else { return };
        // A node of which nothing is heard any more has not refused: it is absent, and hears of the swap when it is back.
        let silent = |(_, heard): &(Vote, Instant)| now.duration_since(*heard) >= SILENCE_MAX;
        let others = proposal.votes.iter().filter(|(node, _)| **node != self.node);
        let unreachable = others.filter(|(_, vote)| silent(vote)).map(|(node, _)| node.clone());
        proposal.unreachable.extend(unreachable.collect::<Vec<_>>());
        let present = proposal.votes.iter().filter(|(node, _)| !proposal.unreachable.contains(*node));
        let votes: Vec<(&String, &Vote)> = present.map(|(node, (vote, _))| (node, vote)).collect();
        let refusals: BTreeMap<String, String> =
            votes.iter().filter_map(|(node, vote)| Some(((*node).clone(), vote.refusal()?))).collect();
        let pending: Vec<String> =
            votes.iter().filter(|(_, vote)| vote.is_pending()).map(|(node, _)| (*node).clone()).collect();
        if !refusals.is_empty() {
            let since = *refused_at.get_or_insert(now);
            if pending.is_empty() || now >= since + REFUSALS_MAX {
                let (node, why) = refusals.first_key_value().expect("there is one");
                self.abort_attempt(attempt, &format!("{node} refused: {why}"));
                self.end_proposal(Err(NotSwapped::Refused(refusals)));
            }
        } else if pending.is_empty() {
            let Operation::Swap(plan) = proposal.operation.clone() else { return };
            let before = match &self.herd_state.swap {
                Some(swap) if swap.digest == plan.digest => swap.previous,
                Some(swap) => Some(swap.digest),
                None => Some(self.serving),
            };
            self.commit_to(plan.digest, before, now);
        } else if now >= proposal.started + PREPARE_MAX {
            self.abort_attempt(attempt, "it took too long to make the guest ready everywhere");
            self.end_proposal(Err(NotSwapped::TimedOut(pending)));
        } else if now >= proposal.enlist_at {
            proposal.enlist_at = now + ENLIST_EVERY;
            let operation = proposal.operation.clone();
            self.enlist_all(attempt.clone(), now);
            // A node that has come up meanwhile, or missed it, hears what is to be got ready.
            if let Operation::Swap(plan) = operation {
                self.broadcast(Broadcast::Prepare(attempt, plan));
            }
        }
    }

    fn commit_to(&mut self, digest: Digest, previous: Option<Digest>, now: Instant) {
        let Some(proposal) = &mut self.proposal else { return };
        let number = proposal.number_highest.max(self.herd_state.number()).saturating_add(1);
        let swap = HerdSwap { number, digest, previous, who: proposal.attempt.to_string() };
        proposal.phase = Phase::Committed { swap: swap.clone(), until: now + ADOPT_MAX, results: BTreeMap::new() };
        let (attempt, is_rollback) = (proposal.attempt.clone(), matches!(proposal.operation, Operation::RollBack));
        self.commit(swap, now);
        if is_rollback {
            // There is no candidate that taking the swap up would end this with.
            self.abort_attempt(attempt, "it is over");
        }
    }

    /// Makes a swap the herd's: from here on it is never taken back, only followed by another one.
    fn commit(&mut self, swap: HerdSwap, now: Instant) {
        self.herd_state.merge(HerdState { swap: Some(swap), ..HerdState::default() });
        self.herd_state_changed(None, now);
    }

    fn finish(&mut self) {
        let Some(Proposal { phase: Phase::Committed { swap, results, .. }, votes, unreachable, .. }) = &self.proposal
        else {
            return;
        };
        let outcome = |node: &String| match results.get(node) {
            Some(Ok(Adopted { generation, name })) => {
                NodeOutcome::Serving { generation: *generation, name: name.clone() }
            }
            Some(Err(why)) => NodeOutcome::RolledBack(why.clone()),
            None if votes.contains_key(node) && !unreachable.contains(node) => NodeOutcome::Pending,
            None => NodeOutcome::Absent,
        };
        let nodes = self.nodes.iter().map(|node| (node.clone(), outcome(node))).collect();
        let swap = swap.clone();
        self.end_proposal(Ok(Outcome { swap, nodes }));
    }

    fn abort_attempt(&mut self, attempt: Attempt, why: &str) {
        self.broadcast(Broadcast::Abort(attempt.clone(), why.into()));
        if self.is_engaged_in(&attempt) {
            self.abort_engagement(why);
        }
    }

    /// The guest that this node was asked to swap to, and has in memory only.
    pub(crate) fn proposed_guest(&self) -> Option<Digest> {
        let Operation::Swap(plan) = &self.proposal.as_ref()?.operation else { return None };
        Some(plan.digest)
    }

    fn end_proposal(&mut self, answer: Result<Outcome, NotSwapped>) {
        self.proposal = None;
        self.answer(answer);
    }

    fn answer(&mut self, answer: Result<Outcome, NotSwapped>) {
        self.push(Action::Answer(answer));
    }

    fn new_attempt(&mut self, who: &str) -> Attempt {
        Attempt { coordinator: self.node.clone(), nonce: (self.random)(), who: who.into() }
    }
}

/// Random bits as a share of 1.
#[allow(clippy::cast_precision_loss, reason = "a pause for people")]
fn share(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Who is to take part has answered by then. Only a herd with absent nodes waits for so long.
const ENLIST_MAX: Duration = Duration::from_secs(1);
/// How often the nodes that take part are called again, so that each side knows that the other is there.
const ENLIST_EVERY: Duration = Duration::from_secs(1);
/// A node that has missed so many calls is absent.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// When one node has refused, the others may say for so long that they do too.
const REFUSALS_MAX: Duration = Duration::from_secs(1);
/// Taking up what is ready takes milliseconds.
const ADOPT_MAX: Duration = Duration::from_secs(10);
/// When another swap is first: between two calls, four times as much at most.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// And how long it may be.
const OTHER_SWAP_MAX: Duration = Duration::from_secs(5);
