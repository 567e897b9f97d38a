//! What comes out of a decision: plain data that points into one buffer.
//!
//! The limits on effects stand where they are checked, in [`check`](crate::check).

use crate::event::Progress;

/// Where something lies in the output of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub length: u32,
}

impl Span {
    /// The bytes it points at, or nothing when it points outside.
    #[must_use]
    pub fn of(self, buffer: &[u8]) -> Option<&[u8]> {
        let start = self.start as usize;
        buffer.get(start..start.checked_add(self.length as usize)?)
    }
}

/// Ties a reply to what becomes of a keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The number of the keep among the keeps of the decision, from 0.
    pub keep: u32,
    /// The reply to send instead when the keep is not accepted.
    pub otherwise: Span,
}

/// Bytes to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What to send.
    pub bytes: Span,
    /// None: send in any case.
    pub tie: Option<Tie>,
}

/// Who is told of a keep first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FanOut {
    /// Every peer but the one it came from.
    #[default]
    Everyone,
    /// These peers at once, the others by repair: their names, each ended by a newline.
    TheseFirst(Span),
}

/// Keeps a record under a key if it wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The key.
    pub key: Span,
    /// At most 64 bytes, compared as bytes.
    pub rank: Span,
    /// How the record is written.
    pub form: u32,
    /// The record.
    pub bytes: Span,
    /// Whom to tell.
    pub fan_out: FanOut,
}

/// How an upstream is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Without a body.
    Get,
    /// With a body.
    Post,
}

/// Asks an upstream by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The name of an upstream from the configuration.
    pub upstream: Span,
    /// How.
    pub method: Method,
    /// Path and query behind the upstream's base URL: empty, or starting with `/` or `?`.
    pub path: Span,
    /// The body of a post.
    pub body: Span,
    /// All that is needed to finish, at most 4 KiB.
    pub token: Span,
    /// The reply to send in its place when there is nobody to decide the answer.
    pub otherwise: Span,
}

/// Bytes to every session of this node that subscribed to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The topic.
    pub topic: Span,
    /// What to send.
    pub bytes: Span,
    /// The number of a keep among the keeps (or, in a decision on reports, the index of a report) that must have been
    /// applied.
    pub tie: Option<u32>,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever looks for a fault in the guest.
    Debug,
    /// Of interest in normal operation.
    Info,
    /// Unexpected.
    Warn,
}

/// A line for the node's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub level: Level,
    /// The text.
    pub text: Span,
}

/// One effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Bytes to the session.
    Reply(Reply),
    /// A record to keep.
    Keep(Keep),
    /// An upstream to ask.
    Fetch(Fetch),
    /// The session joins a topic.
    Subscribe(Span),
    /// The session leaves a topic.
    Unsubscribe(Span),
    /// Bytes to a topic.
    Publish(Publish),
    /// End the session once its replies are out.
    Close,
    /// A line for the log.
    Note(Note),
    /// The end of the effects of one input.
    Done(Progress),
    /// The report of this index is set aside.
    Refuse(u32),
}
