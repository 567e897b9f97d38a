//! A span: one step in the way of a line or of a report, with its times.
//!
//! Owns no way of a span out of the process. Names and keys are constants, so that a collector can group by them; nothing that a client sent
//! is ever in a span.

use std::borrow::Cow;

use herd_model::{SpanId, TraceContext};

/// A step that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Trace and number of the span.
    pub context: TraceContext,
    /// Span above it. `None` for the first one of a trace.
    pub parent: Option<SpanId>,
    /// Name of the step.
    pub name: &'static str,
    /// Role of the node in the step.
    pub kind: SpanKind,
    /// Begin, in nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// End, in nanoseconds since the Unix epoch, not before the begin.
    pub end_ns: u64,
    /// Facts about the step, by name.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Reason for which the step failed.
    pub failure: Option<&'static str>,
}

/// Role of a node in a step, as OpenTelemetry names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Inside the node.
    Internal,
    /// Answer to a client.
    Server,
    /// Request to another service.
    Client,
    /// Report that a peer sent.
    Consumer,
}

/// Value of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Text.
    Text(Cow<'static, str>),
    /// Number.
    Count(u64),
    /// Yes or no.
    Flag(bool),
}

impl Span {
    /// Creates a span inside the node, without facts. An end before the begin, as clocks of two nodes may give, counts as the begin of both.
    #[must_use]
    pub fn new(context: TraceContext, parent: Option<SpanId>, name: &'static str, start_ns: u64, end_ns: u64) -> Self {
        let start_ns = start_ns.min(end_ns);
        Self {
            context,
            parent,
            name,
            kind: SpanKind::Internal,
            start_ns,
            end_ns,
            attributes: Vec::new(),
            failure: None,
        }
    }

    /// Sets the role of the node.
    #[must_use]
    pub fn of_kind(self, kind: SpanKind) -> Self {
        Self { kind, ..self }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Attribute>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Marks the step as failed.
    #[must_use]
    pub fn failed(self, reason: &'static str) -> Self {
        Self { failure: Some(reason), ..self }
    }
}

impl From<u64> for Attribute {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Attribute {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<bool> for Attribute {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
