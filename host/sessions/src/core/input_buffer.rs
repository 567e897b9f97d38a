//! Input that was read and not yet consumed.
//!
//! A guest is only called when what it waits for is there, and only new bytes are looked at for that, so a client
//! that sends byte by byte costs a look at each byte and one call per line.

use herd_sdk::{Awaiting, Mark};

/// What is left over of a session's input.
#[derive(Debug)]
pub(crate) struct InputBuffer {
    rest: Vec<u8>,
    /// How many bytes of the rest the guest has seen.
    seen: usize,
    awaits: Awaiting,
    /// The client has ended its input.
    ended: bool,
}

/// What is to be decided now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Window<'a> {
    /// Nothing: what the guest waits for is not there yet.
    Nothing,
    /// These bytes.
    Input(&'a [u8], Mark),
    /// The beginning of a line that is over the limit.
    Overlong(&'a [u8]),
}

impl InputBuffer {
    pub(crate) fn new() -> Self {
        Self { rest: Vec::new(), seen: 0, awaits: Awaiting::Delimiter(b'\n'), ended: false }
    }

    /// Takes what a read brought.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// Takes the end of the input.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The client has ended its input.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// There is part of a line.
    pub(crate) fn is_unfinished(&self) -> bool {
        !self.rest.is_empty()
    }

    /// What to decide now: at least what the guest waits for, and beyond that about `bytes` bytes.
    pub(crate) fn window(&self, line_bytes_max: usize, bytes: usize) -> Window<'_> {
        let rest = &*self.rest;
        // A carriage return before the newline belongs to the line end, which is two bytes at most.
        let longest = line_bytes_max + 2;
        let needed = match self.awaits {
            Awaiting::Delimiter(byte) => {
                let new = rest.get(self.seen..).unwrap_or_default();
                let end = new.iter().position(|&other| other == byte).map(|position| self.seen + position);
                let line = end.unwrap_or(rest.len());
                let returned = usize::from(rest[..line].last() == Some(&b'\r'));
                if line - returned > line_bytes_max || line > longest {
                    return Window::Overlong(&rest[..line.min(line_bytes_max)]);
                }
                end.map(|end| end + 1)
            }
            Awaiting::Bytes(count) => {
                let needed = self.seen.saturating_add(count as usize);
                if needed > longest {
                    return Window::Overlong(&rest[..rest.len().min(line_bytes_max)]);
                }
                (needed <= rest.len()).then_some(needed)
            }
        };
        match needed {
            Some(needed) => {
                let window = &rest[..needed.max(bytes.min(longest)).min(rest.len())];
                let all = window.len() == rest.len();
                Window::Input(window, if self.ended && all { Mark::End } else { Mark::More })
            }
            None if self.ended && !rest.is_empty() => Window::Input(rest, Mark::End),
            None => Window::Nothing,
        }
    }

    /// How many bytes the first half of a window of this length takes, cut behind a delimiter; nothing if it cannot
    /// be halved.
    pub(crate) fn half(&self, window: usize) -> Option<usize> {
        let Awaiting::Delimiter(byte) = self.awaits else { return None };
        let ends = |range: &[u8]| range.iter().position(|&other| other == byte).map(|position| position + 1);
        let first = ends(&self.rest[..window])?;
        let middle = window / 2;
        let half = self.rest[..middle].iter().rposition(|&other| other == byte).map_or(first, |end| end + 1);
        (half < window).then_some(half)
    }

    /// The first bytes of what is left over.
    pub(crate) fn first(&self, count: usize) -> &[u8] {
        &self.rest[..count.min(self.rest.len())]
    }

    /// The guest has consumed so much of a window of this length and waits for this.
    pub(crate) fn consume(&mut self, consumed: usize, window: usize, awaits: Awaiting) {
        self.rest.drain(..consumed);
        self.seen = window - consumed;
        self.awaits = awaits;
        if self.rest.is_empty() && self.rest.capacity() > KEEP_BYTES_MAX {
            self.rest = Vec::new();
        }
    }

    /// There are bytes that the guest has not seen.
    pub(crate) fn has_unseen(&self) -> bool {
        self.rest.len() > self.seen
    }

    /// Nothing of the rest will be decided.
    pub(crate) fn clear(&mut self) {
        self.rest = Vec::new();
        self.seen = 0;
    }
}

/// A session keeps a buffer of at most this many bytes from line to line: room for the usual report.
const KEEP_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Awaiting = Awaiting::Delimiter(b'\n');

    fn input(bytes: &[u8]) -> InputBuffer {
        let mut input = InputBuffer::new();
        input.extend(bytes);
        input
    }

    #[test]
    fn nothing_is_given_before_what_is_awaited_is_there() {
        let mut input = InputBuffer::new();
        for byte in b"IAMA" {
            input.extend(&[*byte]);
            assert_eq!(input.window(16, 99), Window::Nothing);
        }
        input.extend(b"T\nrest");
        assert_eq!(input.window(16, 99), Window::Input(b"IAMAT\nrest", Mark::More));
        input.consume(6, 10, LINE);
        assert_eq!(input.window(16, 99), Window::Nothing, "the rest has been seen");
        input.extend(b"\n");
        assert_eq!(input.window(16, 99), Window::Input(b"rest\n", Mark::More));
        input.consume(0, 5, Awaiting::Bytes(2));
        input.extend(b"a");
        assert_eq!(input.window(16, 99), Window::Nothing);
        input.extend(b"b");
        assert_eq!(input.window(16, 99), Window::Input(b"rest\nab", Mark::More));
    }

    #[test]
    fn the_end_of_the_input_completes_a_rest() {
        let mut input = input(b"line\nrest");
        input.end();
        assert_eq!(input.window(16, 5), Window::Input(b"line\n", Mark::More), "the rest comes after it");
        assert_eq!(input.window(16, 99), Window::Input(b"line\nrest", Mark::End));
        input.consume(5, 5, LINE);
        assert_eq!(input.window(16, 99), Window::Input(b"rest", Mark::End));
        input.consume(4, 4, LINE);
        assert_eq!(input.window(16, 99), Window::Nothing);
    }

    #[test]
    fn a_line_of_the_greatest_length_fits_whatever_its_line_end_and_one_byte_more_does_not() {
        assert_eq!(input(b"12345678\nnext").window(8, 4), Window::Input(b"12345678\n", Mark::More));
        assert_eq!(input(b"12345678\r\nnext").window(8, 4), Window::Input(b"12345678\r\n", Mark::More));
        assert_eq!(input(b"12345678\r").window(8, 4), Window::Nothing, "a newline may follow");
        assert_eq!(input(b"123456789").window(8, 4), Window::Overlong(b"12345678"));
        assert_eq!(input(b"123456789\n").window(8, 4), Window::Overlong(b"12345678"));
        assert_eq!(input(b"12345678\r\r\n").window(8, 4), Window::Overlong(b"12345678"));
        let mut ended = input(b"123456789");
        ended.end();
        assert_eq!(ended.window(8, 4), Window::Overlong(b"12345678"));
    }

    #[test]
    fn a_window_never_holds_a_second_line_over_the_limit() {
        let short_then_long = input(b"1\n1234\n");
        assert_eq!(short_then_long.window(3, 99), Window::Input(b"1\n123", Mark::More));
    }

    #[test]
    fn counted_bytes_beyond_the_limit_are_refused_before_they_come() {
        let mut input = input(b"ab\n");
        input.consume(3, 3, Awaiting::Bytes(11));
        assert_eq!(input.window(8, 4), Window::Overlong(b""));
    }

    #[test]
    fn a_window_is_halved_behind_a_line_until_one_is_left() {
        let input = input(b"a\nbb\nccc\nrest");
        assert_eq!(input.half(13), Some(5));
        assert_eq!(input.half(5), Some(2));
        assert_eq!(input.half(2), None);
    }
}
