//! What a call decided.

use crate::effect::{Effect, Span};
use crate::effects::Effects;
use crate::event::Progress;

/// What a call decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// The bytes that the spans of the effects point into.
    pub output: Vec<u8>,
    /// In the order in which they are to be performed.
    pub effects: Effects,
}

impl Decision {
    /// The bytes that a span points at; empty when it points outside.
    #[must_use]
    pub fn bytes(&self, span: Span) -> &[u8] {
        span.of(&self.output).unwrap_or_default()
    }

    /// The names in a fan-out.
    pub fn peers(&self, span: Span) -> impl Iterator<Item = &[u8]> {
        self.bytes(span).split(|&byte| byte == b'\n').filter(|name| !name.is_empty())
    }

    /// What became of the first input, if it was one that was decided.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.effects.iter().find_map(|effect| if let Effect::Done(progress) = effect { Some(progress) } else { None })
    }

    /// Writes something into the output and says where it lies.
    ///
    /// # Panics
    ///
    /// When the output passes 4 GiB, which the memory cap of an instance rules out.
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.output.len();
        write(&mut self.output);
        let length = self.output.len() - start;
        Span {
            start: u32::try_from(start).expect("output is under 4 GiB"),
            length: u32::try_from(length).expect("output is under 4 GiB"),
        }
    }

    /// Copies bytes into the output and says where they lie.
    pub fn copy(&mut self, bytes: &[u8]) -> Span {
        self.write(|out| out.extend_from_slice(bytes))
    }
}
