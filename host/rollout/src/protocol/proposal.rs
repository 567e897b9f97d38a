//! A swap that was asked for at this node.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::herd_state::HerdSwap;
use super::message::{Adopted, Attempt, Plan, Vote};

/// A swap that this node was asked for.
pub(crate) struct Proposal {
    pub(crate) operation: Operation,
    pub(crate) attempt: Attempt,
    pub(crate) phase: Phase,
    pub(crate) started: Instant,
    /// The herd's swap when this was asked for.
    pub(crate) base: Option<HerdSwap>,
    /// The highest number that anybody who takes part knows of.
    pub(crate) number_highest: u64,
    pub(crate) enlist_at: Instant,
    pub(crate) votes: BTreeMap<String, (Vote, Instant)>,
    pub(crate) unreachable: BTreeSet<String>,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// Swap to a guest whose bytes are on the shelf.
    Swap(Plan),
    /// Go back to the guest before.
    RollBack,
}

pub(crate) enum Phase {
    Enlisting { until: Instant },
    BackingOff { until: Instant, other: String },
    Preparing { refused_at: Option<Instant> },
    Committed { swap: HerdSwap, until: Instant, results: BTreeMap<String, Result<Adopted, String>> },
}
