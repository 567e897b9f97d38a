//! Effects: plain data whose spans point into the output of a [`Decision`](crate::Decision).
//!
//! Owns their types. It must not know how effects are encoded or performed. [`limits`](crate::limits) bounds them.

use crate::event::Progress;

/// Range of bytes in the output of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub length: u32,
}

impl Span {
    /// Returns the bytes of the span, or none if it exceeds the buffer.
    #[must_use]
    pub fn of(self, buffer: &[u8]) -> Option<&[u8]> {
        let start = self.start as usize;
        buffer.get(start..start.checked_add(self.length as usize)?)
    }
}

/// Dependency of a reply on a keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tie {
    /// Number of the keep among the keeps of the decision, from 0.
    pub keep: u32,
    /// Reply to send instead if the keep is not accepted or not acknowledged in time.
    pub otherwise: Span,
}

/// Bytes to send to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Bytes to send.
    pub bytes: Span,
    /// Keep that the reply depends on. None: always send.
    pub tie: Option<Tie>,
}

/// Order in which peers receive a keep. It decides speed, not membership: repair brings every keep to every node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FanOut {
    /// Every peer but the one it came from.
    #[default]
    Everyone,
    /// These peers at once, the others by repair. The span holds their names, each ended by a newline.
    TheseFirst(Span),
}

/// Record to keep under a key if it wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The key.
    pub key: Span,
    /// The rank: at most 64 bytes, compared as bytes.
    pub rank: Span,
    /// Form of the record.
    pub form: u32,
    /// The record.
    pub bytes: Span,
    /// Order in which peers receive it.
    pub fan_out: FanOut,
}

/// HTTP method of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Without a body.
    Get,
    /// With a body.
    Post,
}

/// HTTP request to an upstream, which is addressed by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Name of an upstream in the configuration.
    pub upstream: Span,
    /// HTTP method.
    pub method: Method,
    /// Path and query, appended to the upstream's base URL: empty, or starting with `/` or `?`.
    pub path: Span,
    /// Body of a POST.
    pub body: Span,
    /// Opaque state that comes back with the answer, at most 4 KiB.
    pub token: Span,
    /// Fallback reply, for when no generation can decide the answer or the time for the reply runs out.
    pub otherwise: Span,
}

/// Message to every session of this node that subscribed to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The topic.
    pub topic: Span,
    /// Bytes to send.
    pub bytes: Span,
    /// Number of a keep (in a call on reports: index of a report) that must have been applied. None: always publish.
    pub tie: Option<u32>,
}

/// Severity of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For debugging the guest.
    Debug,
    /// Of interest in normal operation.
    Info,
    /// Unexpected.
    Warn,
}

/// Line for the node's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Severity.
    pub level: Level,
    /// The text.
    pub text: Span,
}

/// One effect of a decision, which the host performs after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Send bytes to the session.
    Reply(Reply),
    /// Keep a record.
    Keep(Keep),
    /// Send a request to an upstream.
    Fetch(Fetch),
    /// Subscribe the session to a topic.
    Subscribe(Span),
    /// Unsubscribe the session from a topic.
    Unsubscribe(Span),
    /// Publish bytes to a topic.
    Publish(Publish),
    /// End the session once its replies are out.
    Close,
    /// Write a line to the log.
    Note(Note),
    /// End the effects of one input.
    Done(Progress),
    /// Quarantine the report of this index.
    Refuse(u32),
}
