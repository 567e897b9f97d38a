//! The usual line, read once from left to right: single blanks, nothing around the fields.
//!
//! Whatever it does not read is not wrong, only unusual: then the fields are split first, and each says what is wrong.

use crate::location::Location;
use crate::time::ClientTime;
use crate::word::Word;

/// A place in a line. There may be more lines behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The place behind the first bytes of a line, if they are these.
    #[inline(always)]
    pub(crate) fn after(start: &[u8], line: &'a [u8]) -> Option<Self> {
        line.starts_with(start).then_some(Self { line, at: start.len() })
    }

    /// Where the rest begins.
    #[inline(always)]
    pub(crate) fn at(self) -> usize {
        self.at
    }

    /// Reads any field.
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

    /// Reads one of two signs.
    #[inline(always)]
    pub(crate) fn sign(&mut self) -> Option<u8> {
        let sign = self.line.get(self.at).copied().filter(|byte| matches!(byte, b'+' | b'-'))?;
        self.at += 1;
        Some(sign)
    }

    /// Reads a location.
    #[inline(always)]
    pub(crate) fn location(&mut self) -> Option<Location<'a>> {
        let (location, end) = Location::parse_prefix(self.line, self.at)?;
        self.at = end;
        Some(location)
    }

    /// Reads a time.
    #[inline(always)]
    pub(crate) fn time(&mut self) -> Option<ClientTime<'a>> {
        let (time, end) = ClientTime::parse_prefix(self.line, self.at)?;
        self.at = end;
        Some(time)
    }

    /// Reads the one blank between two fields.
    #[inline(always)]
    pub(crate) fn blank(&mut self) -> Option<()> {
        (self.line.get(self.at) == Some(&b' ')).then(|| self.at += 1)
    }

    /// Reads the end of the line.
    #[inline(always)]
    pub(crate) fn end(self) -> Option<()> {
        (self.at == self.line.len()).then_some(())
    }
}
