//! Lines and their fields.

use std::ops::ControlFlow;

use herd_sdk::{Awaiting, Input, Mark, Progress};

use crate::command::Command;
use crate::iamat::Iamat;
use crate::word::Word;

/// A command as it came, without its line end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// What it says, if that was found out on the way to its end.
    read: Option<Iamat<'a>>,
}

impl<'a> Line<'a> {
    /// A line of these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, read: None }
    }

    /// What it says.
    #[must_use]
    #[inline]
    pub fn command(&self) -> Command<'a> {
        self.read.map_or_else(|| Command::parse_fields(self.bytes), Command::Iamat)
    }

    /// Writes the answer to an invalid command: a copy of it behind a question mark.
    pub fn echo(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"? ");
        out.extend_from_slice(self.bytes);
        out.push(b'\n');
    }

    /// The line at the start of the bytes, and what is behind it. The usual line is read, and so it ends where it is
    /// read to the end; for any other a newline is looked for.
    #[inline]
    fn split_first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        if let Some((iamat, length)) = Iamat::parse_prefix(bytes) {
            let (line, behind) = bytes.split_at(length);
            let behind = behind.strip_prefix(b"\n").or_else(|| behind.strip_prefix(b"\r\n"));
            if let Some(behind) = behind {
                return Some((Self { bytes: line, read: Some(iamat) }, behind));
            }
        }
        let end = newline(bytes)?;
        let line = &bytes[..end];
        Some((Self::new(line.strip_suffix(b"\r").unwrap_or(line)), &bytes[end + 1..]))
    }
}

/// Gives every complete line to `each`, until that breaks off; then the rest counts as consumed.
///
/// A line ends with a newline, and a carriage return before it belongs to the line end. A rest without a
/// newline is a line when the input has ended.
pub fn split_lines<'a>(input: Input<'a>, mut each: impl FnMut(Line<'a>) -> ControlFlow<()>) -> Progress {
    let awaits = Awaiting::Delimiter(b'\n');
    let mut rest = input.bytes;
    while let Some((line, behind)) = Line::split_first(rest) {
        rest = behind;
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

/// Where the first newline is.
#[inline]
fn newline(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        let found = Word::at(bytes, at).find(b'\n');
        if found < Word::BYTES {
            return Some(at + found);
        }
        // A step of known length: the processor need not wait for this word to read the next.
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
    fn a_carriage_return_before_the_newline_is_part_of_the_line_end() {
        assert_eq!(lines(b"a\r\nb\r\r\nc\r", Mark::More), (vec![&b"a"[..], b"b\r"], 7));
    }

    #[test]
    fn a_rest_is_a_line_only_at_the_end_of_the_input() {
        assert_eq!(lines(b"a\nrest\r", Mark::More), (vec![&b"a"[..]], 2));
        assert_eq!(lines(b"a\nrest\r", Mark::End), (vec![&b"a"[..], b"rest\r"], 7));
    }

    proptest! {
        #[test]
        fn a_line_that_was_read_on_the_way_is_the_line_that_splitting_gives(
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
        fn lines_are_what_splitting_gives(bytes in "[ -#\n\r\t\u{b}\u{c}\u{1f}\u{0}\u{a0}]{0,60}") {
            let bytes = bytes.as_bytes();
            let plain: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
            let (rest, complete) = plain.split_last().unwrap();
            let expected: Vec<&[u8]> = complete.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
            prop_assert_eq!(lines(bytes, Mark::More), (expected, bytes.len() - rest.len()));
        }
    }
}
