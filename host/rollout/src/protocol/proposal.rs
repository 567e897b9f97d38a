//! Proposal of an operator, as its coordinator tracks it.
//!
//! Bounds: one proposal per coordinator, and a few that wait behind it; votes and results of configured nodes only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use herd_model::RollbackOptions;

use super::herd_state::HerdSwap;
use super::message::{Adopted, Attempt, Goal, Plan, Vote};

/// Swap or rollback of the herd that an operator proposed at this node.
pub(crate) struct Proposal {
    /// Identifier under which the operator waits for the answer.
    pub(crate) id: u64,
    pub(crate) operation: Operation,
    /// Current attempt. A proposal that backs off for another swap starts a new one.
    pub(crate) attempt: Attempt,
    pub(crate) phase: Phase,
    pub(crate) started: Instant,
    /// Last swap of the herd when the operator proposed this one, which is what the operator has seen.
    pub(crate) base: Option<HerdSwap>,
    /// Highest swap number that a participant knows.
    pub(crate) number_highest: u64,
    /// When to send the next heartbeat.
    pub(crate) enlist_at: Instant,
    /// Last vote of each participant, and when it arrived.
    pub(crate) votes: BTreeMap<String, (Vote, Instant)>,
    /// Participants that fell silent.
    pub(crate) unreachable: BTreeSet<String>,
}

/// Proposal of an operator that waits until this node has ended another one.
pub(crate) struct WaitingProposal {
    pub(crate) id: u64,
    pub(crate) operation: Operation,
    /// Guest of the operation, as the operator meant it.
    pub(crate) goal: Goal,
    pub(crate) who: String,
    pub(crate) started: Instant,
    /// Last swap of the herd when the operator proposed this one, which is what the operator has seen.
    pub(crate) base: Option<HerdSwap>,
}

/// Operation that the operator asked for.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// Swap to a guest whose bytes are in the guest store.
    Swap(Plan),
    /// Return to the guest before the last swap.
    RollBack(RollbackOptions),
}

impl Operation {
    /// Plan of a swap.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        let Self::Swap(plan) = self else { return None };
        Some(plan)
    }
}

/// Phase of a proposal.
pub(crate) enum Phase {
    /// Nodes are voting whether they take part.
    Enlisting { until: Instant },
    /// A node takes part in `other`; the next attempt starts at `until`.
    BackingOff { until: Instant, other: String },
    /// Participants make the candidate ready. `refused_at` is the time of the first refusal.
    Preparing { refused_at: Option<Instant> },
    /// The swap is committed, and participants report their adoption.
    Committed { swap: HerdSwap, until: Instant, results: BTreeMap<String, AdoptionResult> },
}

/// Report of a participant on its adoption.
pub(crate) struct AdoptionResult {
    pub(crate) result: Result<Adopted, String>,
    /// Error of the disk of that node.
    pub(crate) not_stored: Option<String>,
}
