//! Events of a transcript and their expected effects.
//!
//! Owns their types. It must not know how they are written or performed. They are as large as their text.

use crate::event::{Failure, Mark, Outcome, Report};
use crate::transcript::token::Token;

/// Event of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `now`: sets the clock, in nanoseconds since the Unix epoch.
    Now(u64),
    /// `now +`: advances the clock, in nanoseconds.
    Advance(u64),
    /// `random`: sets the random bits of all following calls.
    Random(u64, u64),
    /// `session`: selects the session of the following inputs and answers. A session that is new or has ended begins with
    /// its next input. Each node has its own.
    Session(String),
    /// `node`: selects the node of the following events. A node that is new has no records.
    Node(String),
    /// `flood from`: what another node kept reaches the selected node as one batch of reports, except for what it had sent already
    /// and what it received from that node.
    Flood {
        /// Name of the other node.
        from: String,
    },
    /// `input`: one read from the session.
    Input {
        /// New bytes, without those left over from earlier inputs.
        bytes: Vec<u8>,
        /// Meaning of their end.
        mark: Mark,
    },
    /// `report`: a batch of reports from a peer.
    Reports(Vec<PeerReport>),
    /// `answer`: the outcome of the session's oldest pending fetch.
    Answer {
        /// Restricts the event to the oldest pending fetch of this upstream.
        upstream: Option<Vec<u8>>,
        /// Outcome of the fetch.
        outcome: UpstreamOutcome,
    },
}

impl Event {
    /// Returns whether the event calls the guest, so that effects can follow.
    pub(super) fn calls_guest(&self) -> bool {
        matches!(self, Self::Input { .. } | Self::Reports(_) | Self::Answer { .. } | Self::Flood { .. })
    }
}

/// A [`Report`] that owns its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerReport {
    /// The key.
    pub key: Vec<u8>,
    /// The record.
    pub bytes: Vec<u8>,
    /// Form that the writer wrote.
    pub form: u32,
    /// Rank that the writer assigned.
    pub rank: Vec<u8>,
    /// Name of the node that received it from a client.
    pub origin: Vec<u8>,
}

impl PeerReport {
    /// Borrows it as the argument of a call.
    #[must_use]
    pub fn borrowed(&self) -> Report<'_> {
        let Self { key, bytes, form, rank, origin } = self;
        Report { key, rank, form: *form, bytes, origin }
    }
}

impl From<&Report<'_>> for PeerReport {
    fn from(report: &Report<'_>) -> Self {
        let Report { key, rank, form, bytes, origin } = *report;
        Self { key: key.into(), bytes: bytes.into(), form, rank: rank.into(), origin: origin.into() }
    }
}

/// An [`Outcome`] that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamOutcome {
    /// The upstream answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// The fetch has no answer.
    Failed(Failure),
}

impl UpstreamOutcome {
    /// Borrows it as the argument of a call.
    #[must_use]
    pub fn borrowed(&self) -> Outcome<'_> {
        match self {
            Self::Answered { status, body } => Outcome::Answered { status: *status, body },
            Self::Failed(failure) => Outcome::Failed(*failure),
        }
    }
}

/// An event and its expected effects.
#[derive(Clone, Debug)]
pub struct Step {
    /// Number of the event's first line, from 1.
    pub(super) line: usize,
    pub(super) event: Event,
    /// Tokens of an event with variables, whose bytes are known only in a run.
    pub(super) template: Option<Vec<Token>>,
    /// Text of the event as written.
    pub(super) text: String,
    /// Lines below the event. The last one is an effect.
    pub(super) expectations: Vec<ExpectationLine>,
}

impl Step {
    /// Returns the number of the event's first line in the file, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the event. Variables in it stand for no bytes.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Iterates over the expected effects, each as its tokens.
    pub fn expected(&self) -> impl Iterator<Item = &[Token]> {
        self.expectations.iter().filter_map(|line| match line {
            ExpectationLine::Effect { tokens, .. } => Some(&**tokens),
            ExpectationLine::Comment(_) => None,
        })
    }
}

/// A line below an event.
#[derive(Clone, Debug)]
pub(super) enum ExpectationLine {
    /// A comment or an empty line.
    Comment(String),
    /// An expected effect, the number of its line, and its text as written.
    Effect { tokens: Vec<Token>, line: usize, text: String },
}

impl ExpectationLine {
    /// Returns the text as written.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Comment(text) | Self::Effect { text, .. } => text,
        }
    }
}
