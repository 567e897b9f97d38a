//! Lines: splitting an input into commands.
//!
//! Owns line ends. It must not know what commands do. An input is scanned once; the host bounds it.

use std::ops::ControlFlow;

use herd_sdk::{Awaiting, Input, Mark, Progress};

use crate::command::Command;
use crate::iamat::Iamat;
use crate::word::Word;

/// Line of a client without its line end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<'a> {
    /// Bytes of the line.
    pub bytes: &'a [u8],
    /// The command, if the search for the line end parsed it already.
    parsed: Option<Iamat<'a>>,
}

impl<'a> Line<'a> {
    /// Creates a line from its bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, parsed: None }
    }

    /// Returns the command of the line.
    #[must_use]
    #[inline]
    pub fn command(&self) -> Command<'a> {
        self.parsed.map_or_else(|| Command::parse_fields(self.bytes), Command::Iamat)
    }

    /// Writes the reply to an invalid command: a question mark and a copy of the line.
    pub fn echo(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"? ");
        out.extend_from_slice(self.bytes);
        out.push(b'\n');
    }

    /// Splits off the first line. Returns it and the bytes after its line end, or none without a complete line.
    ///
    /// The fast path finds the line end by parsing an `IAMAT`, which saves a scan for the newline and a second parse.
    #[inline]
    fn split_first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        if let Some((iamat, length)) = Iamat::parse_prefix(bytes) {
            let (line, rest) = bytes.split_at(length);
            let rest = rest.strip_prefix(b"\n").or_else(|| rest.strip_prefix(b"\r\n"));
            if let Some(rest) = rest {
                return Some((Self { bytes: line, parsed: Some(iamat) }, rest));
            }
        }
        let end = newline(bytes)?;
        let line = &bytes[..end];
        Some((Self::new(line.strip_suffix(b"\r").unwrap_or(line)), &bytes[end + 1..]))
    }
}

/// Calls `each` with every complete line until it returns `Break`, which consumes the whole input.
///
/// A line ends with a newline; a carriage return just before it belongs to the line end. At the end of the input, bytes
/// without a newline are a line too.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use herd_logic::split_lines;
/// use herd_sdk::{Input, Mark};
///
/// let mut lines = vec![];
/// let progress = split_lines(Input { bytes: b"a\r\nb\nrest", mark: Mark::More }, |line| {
///     lines.push(line.bytes);
///     ControlFlow::Continue(())
/// });
/// assert_eq!((lines, progress.consumed), (vec![&b"a"[..], b"b"], 5));
/// ```
pub fn split_lines<'a>(input: Input<'a>, mut each: impl FnMut(Line<'a>) -> ControlFlow<()>) -> Progress {
    let awaits = Awaiting::Delimiter(b'\n');
    let mut rest = input.bytes;
    while let Some((line, after)) = Line::split_first(rest) {
        rest = after;
        if each(line).is_break() {
            return Progress { consumed: input.bytes.len(), awaits };
        }
    }
    if input.mark == Mark::End && !rest.is_empty() {
        let _ = each(Line::new(rest));
        rest = &[];
    }
    Progress { consumed: input.bytes.len() - rest.len(), awaits }
}

/// Returns the position of the first newline.
#[inline]
fn newline(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        let found = Word::at(bytes, at).find(b'\n');
        if found < Word::BYTES {
            return Some(at + found);
        }
        // A constant step lets the processor load the next word before the search in this one is done.
        at += Word::BYTES;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(bytes: &[u8], mark: Mark) -> (Vec<&[u8]>, usize) {
        let mut seen = vec![];
        let progress = split_lines(Input { bytes, mark }, |line| {
            seen.push(line.bytes);
            ControlFlow::Continue(())
        });
        (seen, progress.consumed)
    }

    #[test]
    fn line_end_includes_a_carriage_return() {
        assert_eq!(lines(b"a\r\nb\r\r\nc\r", Mark::More), (vec![&b"a"[..], b"b\r"], 7));
    }

    #[test]
    fn last_line_needs_no_newline_at_the_end_of_the_input() {
        assert_eq!(lines(b"a\nrest\r", Mark::More), (vec![&b"a"[..]], 2));
        assert_eq!(lines(b"a\nrest\r", Mark::End), (vec![&b"a"[..], b"rest\r"], 7));
    }

    proptest! {
        #[test]
        fn fast_path_splits_lines_as_the_general_path(
            bytes in "((IAMAT|WHATSAT) [ab]{1,9}[ \t]([+-]1\\.?[0-9]{0,3}){2} [1-9]{1,12}[ \r\n]?(\r?\n)?){0,4}",
        ) {
            let mut plain = bytes.as_bytes().split(|&byte| byte == b'\n');
            let _ = split_lines(Input { bytes: bytes.as_bytes(), mark: Mark::More }, |line| {
                let expected = plain.next().unwrap();
                assert_eq!(line.bytes, expected.strip_suffix(b"\r").unwrap_or(expected));
                assert_eq!(line.command(), Command::parse(line.bytes));
                ControlFlow::Continue(())
            });
            prop_assert_eq!(plain.count(), 1);
        }

        #[test]
        fn lines_agree_with_a_plain_split(bytes in "[ -#\n\r\t\u{b}\u{c}\u{1f}\u{0}\u{a0}]{0,60}") {
            let bytes = bytes.as_bytes();
            let plain: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
            let (rest, complete) = plain.split_last().unwrap();
            let expected: Vec<&[u8]> = complete.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
            prop_assert_eq!(lines(bytes, Mark::More), (expected, bytes.len() - rest.len()));
        }
    }
}
