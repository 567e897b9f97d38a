//! Event of a herd: what happens at a moment of virtual time, and to whom.
//!
//! Knows nothing of what it does. Bounds: none.

use std::rc::Rc;

use herd_sessions::FetchId;

use super::{absence, faults};
use crate::swaps::Job;

/// Event of one task, client or fault.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Client(usize),
    /// An event of the scenario.
    Scripted(usize),
    /// The next piece of what a client sends.
    Piece {
        client: usize,
        session: u64,
    },
    Decide {
        node: usize,
        worker: usize,
        life: u64,
    },
    Fetch {
        client: usize,
        session: u64,
        id: FetchId,
        /// The upstream answers, and does not fail.
        answers: bool,
    },
    Turn {
        from: usize,
        to: usize,
        connection: u64,
    },
    Frame {
        from: usize,
        to: usize,
        connection: u64,
    },
    /// `at` learns that its connection to `peer` is gone.
    Close {
        at: usize,
        peer: usize,
        connection: u64,
    },
    Dial(usize),
    Tick {
        node: usize,
        life: u64,
    },
    Sync {
        node: usize,
        life: u64,
    },
    Snapshot {
        node: usize,
        life: u64,
    },
    /// Digests that a proof waits for are refreshed.
    Refresh {
        from: usize,
        to: usize,
        connection: u64,
        cutoff_s: u64,
    },
    /// A job of a swap ends.
    Job {
        node: usize,
        life: u64,
        job: Rc<Job>,
    },
    Fault,
    Heal(faults::Healing),
    /// The next step of an absence, or the next look whether it may come.
    Absence {
        node: usize,
        step: absence::Step,
        looks: u32,
    },
}

impl Event {
    /// Returns a number of its kind, for the trace of a run.
    pub(super) fn kind(&self) -> u64 {
        match self {
            Self::Client(_) => 1,
            Self::Scripted(_) => 2,
            Self::Piece { .. } => 3,
            Self::Decide { .. } => 4,
            Self::Fetch { .. } => 5,
            Self::Turn { .. } => 6,
            Self::Frame { .. } => 7,
            Self::Close { .. } => 8,
            Self::Dial(_) => 9,
            Self::Tick { .. } => 10,
            Self::Sync { .. } => 11,
            Self::Snapshot { .. } => 12,
            Self::Refresh { .. } => 13,
            Self::Job { .. } => 14,
            Self::Fault => 15,
            Self::Heal(_) => 16,
            Self::Absence { .. } => 17,
        }
    }

    /// Returns the node whose process handles the event.
    pub(super) fn node(&self) -> Option<usize> {
        match *self {
            Self::Decide { node, .. }
            | Self::Tick { node, .. }
            | Self::Sync { node, .. }
            | Self::Snapshot { node, .. }
            | Self::Job { node, .. } => Some(node),
            Self::Turn { from, .. } | Self::Refresh { from, .. } => Some(from),
            Self::Frame { to, .. } => Some(to),
            Self::Close { at, .. } => Some(at),
            Self::Client(_)
            | Self::Scripted(_)
            | Self::Piece { .. }
            | Self::Fetch { .. }
            | Self::Dial(_)
            | Self::Fault
            | Self::Heal(_)
            | Self::Absence { .. } => None,
        }
    }
}
