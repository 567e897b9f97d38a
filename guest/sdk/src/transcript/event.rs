//! What happens in a transcript, and what is expected of it.

use crate::event::{Failure, Mark, Outcome, Report};
use crate::transcript::token::Token;

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `now`: the clock shows this many nanoseconds since the Unix epoch.
    Now(u64),
    /// `now +`: the clock goes on by this many nanoseconds.
    Later(u64),
    /// `random`: what each call gets as its fresh bits from here on.
    Random(u64, u64),
    /// `session`: which session the inputs and answers from here on belong to. One that has ended, or was not there
    /// before, begins with its next input.
    Session(String),
    /// `input`: what one read brought.
    Input {
        /// The bytes, without what was left over before.
        bytes: Vec<u8>,
        /// What their end means.
        mark: Mark,
    },
    /// `report`: a batch from a peer.
    Reports(Vec<PeerReport>),
    /// `answer`: an upstream answers the oldest fetch of the session that is outstanding.
    Answer {
        /// The oldest fetch of this upstream, if it is named.
        upstream: Option<Vec<u8>>,
        /// How the fetch ended.
        outcome: UpstreamOutcome,
    },
}

impl Event {
    /// Whether effects can follow from it.
    pub(super) fn is_decided(&self) -> bool {
        matches!(self, Self::Input { .. } | Self::Reports(_) | Self::Answer { .. })
    }
}

/// A [`Report`] that owns its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerReport {
    /// The key.
    pub key: Vec<u8>,
    /// The record.
    pub bytes: Vec<u8>,
    /// The form its writer wrote it in.
    pub form: u32,
    /// The rank its writer gave it.
    pub rank: Vec<u8>,
    /// The name of the node that took it from a client.
    pub origin: Vec<u8>,
}

impl PeerReport {
    /// As a guest sees it.
    #[must_use]
    pub fn borrowed(&self) -> Report<'_> {
        let Self { key, bytes, form, rank, origin } = self;
        Report { key, rank, form: *form, bytes, origin }
    }
}

/// An [`Outcome`] that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamOutcome {
    /// With an answer.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// Without.
    Failed(Failure),
}

impl UpstreamOutcome {
    /// As a guest sees it.
    #[must_use]
    pub fn borrowed(&self) -> Outcome<'_> {
        match self {
            Self::Answered { status, body } => Outcome::Answered { status: *status, body },
            Self::Failed(failure) => Outcome::Failed(*failure),
        }
    }
}

/// An event and what is expected of it.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) line: usize,
    pub(super) event: Event,
    /// As the author wrote it.
    pub(super) text: String,
    /// Ends with an effect, or is empty.
    pub(super) expectations: Vec<ExpectationLine>,
}

impl Step {
    /// The number of its first line in the file.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// What happens.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The expected effects, each as its tokens.
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
    /// An expected effect, with the text as the author wrote it.
    Effect { tokens: Vec<Token>, text: String },
}
