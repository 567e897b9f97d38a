//! Proposals of the operators of this node: they start one after another, wait, and may end ahead of time.
//!
//! Two operators of one node are treated like those of two nodes. If the first proposal commits, the second is superseded; if
//! it comes to nothing, the second goes on; and a rollback goes before a swap that has not committed.
//!
//! Knows nothing of votes. Bounds: [`WAITING_MAX`] proposals that wait, for a limited time each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::coordinate::{ENLIST_EVERY, ENLIST_MAX, OTHER_SWAP_MAX, superseded_by};
use super::herd_state::HerdSwap;
use super::message::Goal;
use super::outcome::NotSwapped;
use super::participant::Participant;
use super::prepare::preempted_by;
use super::proposal::{Operation, Phase, Proposal, WaitingProposal};

impl Participant {
    /// Starts a proposal of an operator at this node, or lets it wait behind another one of this node. `id` comes back with the
    /// answer.
    pub(crate) fn propose(&mut self, id: u64, operation: Operation, who: &str, now: Instant) {
        let goal = match &operation {
            Operation::Swap(plan) => Goal::Swap(plan.digest),
            // A rollback is committed without votes on a candidate, so whether it is possible must be known before.
            Operation::RollBack(options) => match &self.herd_state.swap {
                None => return self.answer(id, Err(NotSwapped::NoPrevious)),
                // Its operator wants to be rid of what the guest kept that was left, not to serve it again.
                Some(swap) if options.discard_records && swap.is_rollback() => {
                    return self.answer(id, Err(NotSwapped::NothingToDiscard));
                }
                Some(HerdSwap { previous: None, .. }) => return self.answer(id, Err(NotSwapped::RolledBackItself)),
                Some(HerdSwap { previous: Some(previous), .. }) => Goal::RollBack(*previous),
            },
        };
        let base = self.herd_state.swap.clone();
        let proposal = WaitingProposal { id, operation, goal, who: who.into(), started: now, base };
        if let Goal::RollBack(_) = goal {
            self.make_way_for_rollback(who);
        }
        if self.proposal.is_none() {
            return self.start(proposal, now);
        }
        if self.waiting.len() == WAITING_MAX {
            return self.answer(id, Err(NotSwapped::Busy));
        }
        self.waiting.push_back(proposal);
    }

    /// Starts the proposal that waits next, and answers those that wait in vain. Called by ticks, hence after each event.
    pub(crate) fn continue_waiting(&mut self, now: Instant) {
        let is_committed = matches!(self.proposal, Some(Proposal { phase: Phase::Committed { .. }, .. }));
        let other = self.proposal.as_ref().map(|proposal| proposal.attempt.describe());
        for waiting in std::mem::take(&mut self.waiting) {
            let newer = self.herd_state.swap.clone().filter(|swap| Some(swap) != waiting.base.as_ref());
            match (newer, &other) {
                (Some(newer), _) => self.answer(waiting.id, Err(superseded_by(newer))),
                // As long as for a proposal of another node. A committed one ends soon by itself.
                (None, Some(other)) if !is_committed && now >= waiting.started + OTHER_SWAP_MAX => {
                    self.answer(waiting.id, Err(NotSwapped::OtherSwap(other.clone())));
                }
                _ => self.waiting.push_back(waiting),
            }
        }
        if self.proposal.is_none()
            && let Some(next) = self.waiting.pop_front()
        {
            self.start(next, now);
        }
    }

    fn start(&mut self, proposal: WaitingProposal, now: Instant) {
        let WaitingProposal { id, operation, goal, who, started, base } = proposal;
        let attempt = self.new_attempt(&who, goal);
        self.proposal = Some(Proposal {
            id,
            operation,
            attempt: attempt.clone(),
            phase: Phase::Enlisting { until: now + ENLIST_MAX },
            started,
            base,
            number_highest: 0,
            enlist_at: now + ENLIST_EVERY,
            votes: BTreeMap::new(),
            unreachable: BTreeSet::new(),
        });
        self.enlist_all(attempt, now);
    }

    /// Ends the proposal of this node ahead of time, because one of its operators rolls back.
    fn make_way_for_rollback(&mut self, who: &str) {
        let Some(proposal) = &self.proposal else { return };
        match (&proposal.phase, proposal.attempt.goal) {
            // The swap stands, and nobody has to wait for the reports of slow nodes.
            (Phase::Committed { .. }, _) => self.finish(),
            (_, Goal::Swap(_)) => self.cancel_swap(&format!("{who}, asked at {}", self.node)),
            // Of two rollbacks the first goes on.
            (_, Goal::RollBack(_)) => {}
        }
    }

    /// Ends the proposal because this node is shutting down.
    pub(crate) fn cancel_proposal(&mut self) {
        if let Some(proposal) = self.proposal.take() {
            // A commit cannot be taken back: this node does not know which nodes have heard of it.
            if !matches!(proposal.phase, Phase::Committed { .. }) {
                self.abort_attempt(proposal.attempt, "the coordinator is shutting down");
            }
            self.answer(proposal.id, Err(NotSwapped::Stopping));
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.answer(waiting.id, Err(NotSwapped::Stopping));
        }
    }

    /// Ends a proposal because its operator no longer wants it. One that has committed goes on: its answer says so.
    pub(crate) fn withdraw_proposal(&mut self, id: u64) {
        let is_open = |proposal: &mut Proposal| proposal.id == id && !matches!(proposal.phase, Phase::Committed { .. });
        if let Some(proposal) = self.proposal.take_if(is_open) {
            self.abort_attempt(proposal.attempt, "its operator cancelled it");
            self.answer(id, Err(NotSwapped::Withdrawn));
        }
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.id != id);
        if self.waiting.len() < before {
            self.answer(id, Err(NotSwapped::Withdrawn));
        }
    }

    /// Ends the swap that this node coordinates, if it has not committed, for a rollback by `who`.
    pub(crate) fn cancel_swap(&mut self, who: &str) {
        let is_open_swap = |proposal: &&Proposal| {
            matches!(proposal.attempt.goal, Goal::Swap(_)) && !matches!(proposal.phase, Phase::Committed { .. })
        };
        if let Some(attempt) = self.proposal.as_ref().filter(is_open_swap).map(|proposal| proposal.attempt.clone()) {
            self.abort_attempt(attempt, &preempted_by(who));
            self.end_proposal(Err(NotSwapped::Preempted(who.into())));
        }
    }
}

/// Proposals that wait behind one of the same node. Each holds its guest in memory.
const WAITING_MAX: usize = 4;
