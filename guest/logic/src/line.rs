//! Lines and their fields.

use std::ops::ControlFlow;

use herd_sdk::{Awaiting, Input, Mark, Progress};

use crate::word::Word;

/// A command as it came, without its line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Line<'_> {
    /// Writes the answer to an invalid command: a copy of it behind a question mark.
    pub fn echo(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"? ");
        out.extend_from_slice(self.bytes);
        out.push(b'\n');
    }
}

/// Gives every complete line to `each`, until that breaks off; then the rest counts as consumed.
///
/// A line ends with a newline, and a carriage return before it belongs to the line end. A rest without a
/// newline is a line when the input has ended.
pub fn split_lines<'a>(input: Input<'a>, mut each: impl FnMut(Line<'a>) -> ControlFlow<()>) -> Progress {
    let awaits = Awaiting::Delimiter(b'\n');
    let mut rest = input.bytes;
    while let Some((bytes, behind)) = split_line(rest) {
        rest = behind;
        if each(Line { bytes: bytes.strip_suffix(b"\r").unwrap_or(bytes) }).is_break() {
            return Progress { consumed: input.bytes.len(), awaits };
        }
    }
    if input.mark == Mark::End && !rest.is_empty() {
        let _ = each(Line { bytes: rest });
        rest = &[];
    }
    Progress { consumed: input.bytes.len() - rest.len(), awaits }
}

/// What is before and behind the first newline.
#[inline]
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut end = 0;
    while end < bytes.len() {
        let found = Word::at(bytes, end).find(b'\n');
        if found == Word::BYTES {
            // A step of known length: the processor need not wait for this word to read the next.
            end += Word::BYTES;
        } else {
            end += found;
            return Some((&bytes[..end], &bytes[end + 1..]));
        }
    }
    None
}

/// The fields of a line: runs of bytes that are not white space.
pub fn fields(line: &[u8]) -> Fields<'_> {
    Fields { line, at: 0 }
}

/// See [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    line: &'a [u8],
    /// Where the rest begins.
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while is_space(*self.line.get(self.at)?) {
            self.at += 1;
        }
        let start = self.at;
        self.at = end_of_field(self.line, start);
        self.line.get(start..self.at)
    }
}

/// Where the field ends that begins at `at`.
#[inline]
fn end_of_field(line: &[u8], mut at: usize) -> usize {
    loop {
        let blank = Word::at(line, at).find_blank();
        at += blank;
        if blank == Word::BYTES {
            continue;
        }
        match line.get(at) {
            // Other control characters are as good as letters.
            Some(&byte) if !is_space(byte) => at += 1,
            _ => return at,
        }
    }
}

/// Exactly the six white space characters of the protocol. No-break space is not one of them.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
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

    #[test]
    fn fields_are_separated_by_the_six_white_space_characters_only() {
        let line = b" \tIAMAT\x0cki\xc2\xa0wi\x0b\x0b+1-1\r9\x1f ";
        assert_eq!(fields(line).collect::<Vec<_>>(), [&b"IAMAT"[..], b"ki\xc2\xa0wi", b"+1-1", b"9\x1f"]);
    }

    proptest! {
        #[test]
        fn lines_and_fields_are_what_splitting_gives(bytes in "[ -#\n\r\t\u{b}\u{c}\u{1f}\u{0}\u{a0}]{0,60}") {
            let bytes = bytes.as_bytes();
            let plain: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
            let (rest, complete) = plain.split_last().unwrap();
            let expected: Vec<&[u8]> = complete.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
            prop_assert_eq!(lines(bytes, Mark::More), (expected, bytes.len() - rest.len()));

            let expected = bytes.split(|&byte| is_space(byte)).filter(|field| !field.is_empty());
            prop_assert!(fields(bytes).eq(expected));
        }
    }
}
