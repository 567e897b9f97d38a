//! Proposal of an operator, as its coordinator tracks it.
//!
//! Bounds: one proposal per coordinator; votes and results of configured nodes only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use herd_model::Digest;

use super::herd_state::HerdSwap;
use super::message::{Adopted, Attempt, Plan, Vote};

/// Swap or rollback of the herd that an operator proposed at this node.
pub(crate) struct Proposal {
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

impl Proposal {
    /// Guest of a proposed swap.
    pub(crate) fn guest(&self) -> Option<Digest> {
        let Operation::Swap(plan) = &self.operation else { return None };
        Some(plan.digest)
    }
}

/// Operation that the operator asked for.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// Swap to a guest whose bytes are in the guest store.
    Swap(Plan),
    /// Return to the guest before the last swap.
    RollBack,
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
    Committed { swap: HerdSwap, until: Instant, results: BTreeMap<String, Result<Adopted, String>> },
}
