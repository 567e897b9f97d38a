//! Cursor of the fast path: parses a line from left to right in one pass, if single blanks separate its fields.
//!
//! Owns the position in a line. It must not report errors: a line that the fast path rejects may still be valid, so the
//! general path splits its fields and finds the reason. The text bounds it.

use crate::location::Location;
use crate::time::ClientTime;
use crate::word::Word;

/// Position in a text that begins with a line and may hold more lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Returns the position after `start`, if the line begins with it.
    #[inline(always)]
    pub(crate) fn after(start: &[u8], line: &'a [u8]) -> Option<Self> {
        line.starts_with(start).then_some(Self { line, at: start.len() })
    }

    /// Returns the offset of the position.
    #[inline(always)]
    pub(crate) fn at(self) -> usize {
        self.at
    }

    /// Parses a field of any non-blank bytes.
    #[inline(always)]
    pub(crate) fn field(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        loop {
            let length = Word::at(self.line, self.at).find_blank();
            self.at += length;
            if length < Word::BYTES {
                break;
            }
        }
        self.line.get(start..self.at).filter(|field| !field.is_empty())
    }

    /// Parses a plus or minus sign.
    #[inline(always)]
    pub(crate) fn sign(&mut self) -> Option<u8> {
        let sign = self.line.get(self.at).copied().filter(|byte| matches!(byte, b'+' | b'-'))?;
        self.at += 1;
        Some(sign)
    }

    /// Parses a location.
    #[inline(always)]
    pub(crate) fn location(&mut self) -> Option<Location<'a>> {
        let (location, end) = Location::parse_prefix(self.line, self.at)?;
        self.at = end;
        Some(location)
    }

    /// Parses a time.
    #[inline(always)]
    pub(crate) fn time(&mut self) -> Option<ClientTime<'a>> {
        let (time, end) = ClientTime::parse_prefix(self.line, self.at)?;
        self.at = end;
        Some(time)
    }

    /// Skips the single blank between two fields.
    #[inline(always)]
    pub(crate) fn blank(&mut self) -> Option<()> {
        (self.line.get(self.at) == Some(&b' ')).then(|| self.at += 1)
    }

    /// Succeeds at the end of the text.
    #[inline(always)]
    pub(crate) fn end(self) -> Option<()> {
        (self.at == self.line.len()).then_some(())
    }
}
