//! One call of a guest: its arguments and the records that it looked up.
//!
//! Owns the copies that outlive a call, for recording, replay and comparison. Knows nothing of instances and generations. Bounds:
//! those of the batches that it copies, and of the look-ups that the host of a guest notes.

use herd_model::FetchAnswer;
use herd_sdk::{Found, InputBatch, Moment, Outcome, ReportBatch};

/// The arguments of one call.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// Inputs of sessions.
    Inputs(&'a InputBatch),
    /// Reports of a peer.
    Reports(&'a ReportBatch),
    /// Answer to a fetch.
    Answer {
        /// Token of the fetch.
        token: &'a [u8],
        /// Fallback reply of the fetch.
        otherwise: &'a [u8],
        /// Result of the fetch.
        outcome: Outcome<'a>,
    },
}

/// One look-up: a key and the record under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The key.
    pub key: Vec<u8>,
    /// The record as it was stored; none where there was none.
    pub found: Option<Found>,
}

impl Read {
    /// Size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.key.len() + self.found.as_ref().map_or(0, |found| found.rank.len() + found.bytes.len())
    }
}

/// A copy of a call and its look-ups, to make it again on another generation. A decision is a function of this and the
/// settings.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// Time and randomness.
    pub at: Moment,
    /// The arguments.
    pub call: OwnedCall,
    /// The look-ups, in their order.
    pub reads: Vec<Read>,
}

/// A [`Call`] that owns its arguments.
#[derive(Clone, Debug)]
pub enum OwnedCall {
    /// Inputs of sessions.
    Inputs(InputBatch),
    /// Reports of a peer.
    Reports(ReportBatch),
    /// Answer to a fetch.
    Answer {
        /// Token of the fetch.
        token: Vec<u8>,
        /// Fallback reply of the fetch.
        otherwise: Vec<u8>,
        /// Result of the fetch.
        answer: FetchAnswer,
    },
}

impl Call<'_> {
    /// Copies the arguments.
    #[must_use]
    pub fn copy(&self) -> OwnedCall {
        match *self {
            Self::Inputs(inputs) => OwnedCall::Inputs(inputs.clone()),
            Self::Reports(reports) => OwnedCall::Reports(reports.clone()),
            Self::Answer { token, otherwise, outcome } => {
                OwnedCall::Answer { token: token.into(), otherwise: otherwise.into(), answer: outcome.into() }
            }
        }
    }

    /// Copies the arguments into the buffers of a call that is no longer needed. The recorder copies every call, so this saves
    /// two allocations on each.
    #[must_use]
    pub fn copy_into(&self, buffers: Option<OwnedCall>) -> OwnedCall {
        match (self, buffers) {
            (Self::Inputs(inputs), Some(OwnedCall::Inputs(mut kept))) => {
                kept.clone_from(inputs);
                OwnedCall::Inputs(kept)
            }
            _ => self.copy(),
        }
    }

    /// Number of decisions: inputs, reports or one answer.
    #[must_use]
    pub fn decisions(&self) -> usize {
        match self {
            Self::Inputs(inputs) => inputs.len(),
            Self::Reports(reports) => reports.len(),
            Self::Answer { .. } => 1,
        }
    }

    /// Size of the arguments, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Inputs(inputs) => inputs.bytes().len(),
            Self::Reports(reports) => reports.bytes().len(),
            Self::Answer { token, otherwise, outcome } => {
                let body = if let Outcome::Answered { body, .. } = outcome { body.len() } else { 0 };
                token.len() + otherwise.len() + body
            }
        }
    }
}

impl OwnedCall {
    /// Borrows the arguments.
    #[must_use]
    pub fn as_call(&self) -> Call<'_> {
        match self {
            Self::Inputs(inputs) => Call::Inputs(inputs),
            Self::Reports(reports) => Call::Reports(reports),
            Self::Answer { token, otherwise, answer } => Call::Answer { token, otherwise, outcome: answer.outcome() },
        }
    }
}
