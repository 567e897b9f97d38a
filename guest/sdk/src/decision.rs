//! Result of a call: effects, and the bytes they refer to.
//!
//! Owns the one output buffer that all spans of a decision point into. It must not know what effects mean or whether
//! they are allowed. The [limits](crate::limits) on output and effects are enforced by the host, not here.

use crate::effect::{Effect, Span};
use crate::effects::Effects;
use crate::event::Progress;

/// Effects of one call and their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// Bytes that the spans of the effects point into.
    pub output: Vec<u8>,
    /// Effects, in the order in which the host performs them.
    pub effects: Effects,
}

impl Decision {
    /// Returns the bytes of a span, or an empty slice if it lies outside of the output.
    #[must_use]
    pub fn bytes(&self, span: Span) -> &[u8] {
        span.of(&self.output).unwrap_or_default()
    }

    /// Iterates over the peer names in the span of a [`FanOut`](crate::FanOut).
    pub fn peers(&self, span: Span) -> impl Iterator<Item = &[u8]> {
        self.bytes(span).split(|&byte| byte == b'\n').filter(|name| !name.is_empty())
    }

    /// Returns the progress on the first input, or none if the decision is not on inputs.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.effects.iter().find_map(|effect| if let Effect::Done(progress) = effect { Some(progress) } else { None })
    }

    /// Appends to the output and returns the span of the appended bytes.
    ///
    /// # Panics
    ///
    /// If the output exceeds 4 GiB, which the memory cap of an instance rules out.
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.output.len();
        write(&mut self.output);
        let length = self.output.len() - start;
        Span {
            start: u32::try_from(start).expect("output is under 4 GiB"),
            length: u32::try_from(length).expect("output is under 4 GiB"),
        }
    }

    /// Appends a copy of bytes to the output and returns its span.
    pub fn copy(&mut self, bytes: &[u8]) -> Span {
        self.write(|out| out.extend_from_slice(bytes))
    }
}
