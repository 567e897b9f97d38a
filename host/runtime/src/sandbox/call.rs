//! One call of a guest: what it is asked, and what it looked up for its answer.

use herd_model::FetchAnswer;
use herd_sdk::{Found, InputBatch, Moment, Outcome, ReportBatch};

/// What a guest is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    /// To decide inputs of sessions.
    Inputs(&'a InputBatch),
    /// To decide reports of a peer.
    Reports(&'a ReportBatch),
    /// To decide the answer to a fetch.
    Answer {
        /// That of the fetch.
        token: &'a [u8],
        /// That of the fetch.
        otherwise: &'a [u8],
        /// How the fetch ended.
        outcome: Outcome<'a>,
    },
}

/// A key that was looked up, and what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) key: Vec<u8>,
    pub(crate) found: Option<Found>,
}

impl Read {
    /// How many bytes it takes to keep.
    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + self.found.as_ref().map_or(0, |found| found.rank.len() + found.bytes.len())
    }
}

/// A call as it was, to be made again on another generation: a decision is a function of this and the settings.
#[derive(Clone, Debug)]
pub(crate) struct RecordedCall {
    pub(crate) at: Moment,
    pub(crate) call: OwnedCall,
    pub(crate) reads: Vec<Read>,
}

/// What was asked, kept.
#[derive(Clone, Debug)]
pub(crate) enum OwnedCall {
    Inputs(InputBatch),
    Reports(ReportBatch),
    Answer { token: Vec<u8>, otherwise: Vec<u8>, answer: FetchAnswer },
}

impl Call<'_> {
    /// Keeps what was asked.
    pub(crate) fn to_owned(&self) -> OwnedCall {
        match *self {
            Self::Inputs(inputs) => OwnedCall::Inputs(inputs.clone()),
            Self::Reports(reports) => OwnedCall::Reports(reports.clone()),
            Self::Answer { token, otherwise, outcome } => {
                OwnedCall::Answer { token: token.into(), otherwise: otherwise.into(), answer: outcome.into() }
            }
        }
    }

    /// Keeps what was asked, in the room that something else was kept in.
    pub(crate) fn to_owned_in(&self, room: Option<OwnedCall>) -> OwnedCall {
        match (self, room) {
            (Self::Inputs(inputs), Some(OwnedCall::Inputs(mut kept))) => {
                kept.clone_from(inputs);
                OwnedCall::Inputs(kept)
            }
            _ => self.to_owned(),
        }
    }

    /// How many decisions it asks for: inputs, reports or one answer.
    pub(crate) fn decisions(&self) -> usize {
        match self {
            Self::Inputs(inputs) => inputs.len(),
            Self::Reports(reports) => reports.len(),
            Self::Answer { .. } => 1,
        }
    }

    /// How many bytes it brings.
    pub(crate) fn bytes(&self) -> usize {
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
    /// Asks it again.
    pub(crate) fn as_call(&self) -> Call<'_> {
        match self {
            Self::Inputs(inputs) => Call::Inputs(inputs),
            Self::Reports(reports) => Call::Reports(reports),
            Self::Answer { token, otherwise, answer } => Call::Answer { token, otherwise, outcome: answer.outcome() },
        }
    }
}
