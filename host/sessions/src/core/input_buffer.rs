//! Input that was read and not yet consumed.
//!
//! A guest is only called when what it waits for is there, and only new bytes are looked at for that, so a client
//! that sends byte by byte costs a look at each byte and one call per line.

use herd_sdk::{Awaiting, Mark};

/// What is left over of a session's input.
#[derive(Debug)]
pub(crate) struct InputBuffer {
    unconsumed: Vec<u8>,
    /// How many bytes of the rest the guest has seen.
    scanned: usize,
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
        Self { unconsumed: Vec::new(), scanned: 0, awaits: Awaiting::Delimiter(b'\n'), ended: false }
    }

    /// Takes what a read brought.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.unconsumed.extend_from_slice(bytes);
    }

    /// Takes the end of the input.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The client has ended its input.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// There is part of a line.
    pub(crate) fn has_unfinished_line(&self) -> bool {
        !self.unconsumed.is_empty()
    }

    /// What to decide now: at least what the guest waits for, and beyond that about `bytes` bytes.
    pub(crate) fn window(&self, line_bytes_max: usize, bytes: usize) -> Window<'_> {
        let rest = &*self.unconsumed;
        // A carriage return before the newline belongs to the line end, which is two bytes at most.
        let longest = line_bytes_max + 2;
        let needed = match self.awaits {
            Awaiting::Delimiter(byte) => {
                let new = rest.get(self.scanned..).unwrap_or_default();
                let end = new.iter().position(|&other| other == byte).map(|position| self.scanned + position);
                let line = end.unwrap_or(rest.len());
                let returned = usize::from(rest[..line].last() == Some(&b'\r'));
                if line - returned > line_bytes_max || line > longest {
                    return Window::Overlong(&rest[..line.min(line_bytes_max)]);
                }
                end.map(|end| end + 1)
            }
            Awaiting::Bytes(count) => {
                let needed = self.scanned.saturating_add(count as usize);
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
    pub(crate) fn split_point(&self, window: usize) -> Option<usize> {
        let Awaiting::Delimiter(byte) = self.awaits else { return None };
        let ends = |range: &[u8]| range.iter().position(|&other| other == byte).map(|position| position + 1);
        let first = ends(&self.unconsumed[..window])?;
        let middle = window / 2;
        let half = self.unconsumed[..middle].iter().rposition(|&other| other == byte).map_or(first, |end| end + 1);
        (half < window).then_some(half)
    }

    /// The first bytes of what is left over.
    pub(crate) fn prefix(&self, count: usize) -> &[u8] {
        &self.unconsumed[..count.min(self.unconsumed.len())]
    }

    /// The guest has consumed so much of a window of this length and waits for this.
    pub(crate) fn consume(&mut self, consumed: usize, window: usize, awaits: Awaiting) {
        self.unconsumed.drain(..consumed);
        self.scanned = window - consumed;
        self.awaits = awaits;
        if self.unconsumed.is_empty() && self.unconsumed.capacity() > RETAINED_BYTES_MAX {
            self.unconsumed = Vec::new();
        }
    }

    /// There are bytes that the guest has not seen.
    pub(crate) fn has_unscanned(&self) -> bool {
        self.unconsumed.len() > self.scanned
    }

    /// Nothing of the rest will be decided.
    pub(crate) fn clear(&mut self) {
        self.unconsumed = Vec::new();
        self.scanned = 0;
    }
}

/// A session keeps a buffer of at most this many bytes from line to line: room for the usual report.
const RETAINED_BYTES_MAX: usize = 256;

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
    fn window_is_empty_until_the_awaited_bytes_arrive() {
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
    fn window_at_end_of_input_includes_a_line_without_delimiter() {
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
    fn line_limit_excludes_the_line_end_and_is_exact() {
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
    fn window_never_holds_a_second_line_over_the_limit() {
        let short_then_long = input(b"1\n1234\n");
        assert_eq!(short_then_long.window(3, 99), Window::Input(b"1\n123", Mark::More));
    }

    #[test]
    fn line_limit_refuses_counted_bytes_before_they_arrive() {
        let mut input = input(b"ab\n");
        input.consume(3, 3, Awaiting::Bytes(11));
        assert_eq!(input.window(8, 4), Window::Overlong(b""));
    }

    #[test]
    fn split_point_halves_a_window_at_line_ends_down_to_one_line() {
        let input = input(b"a\nbb\nccc\nrest");
        assert_eq!(input.split_point(13), Some(5));
        assert_eq!(input.split_point(5), Some(2));
        assert_eq!(input.split_point(2), None);
    }
}
