//! Input of a session that was read and not yet consumed by a guest.
//!
//! Owns the bytes and what the guest awaits: a delimiter, or a number of bytes. Calls no guest itself: it returns a window of
//! input only once the awaited bytes have arrived. A client that sends byte by byte costs a scan of each byte once and one
//! call per line.
//!
//! Bounds: the length of a line, which the caller passes. What one read brings is bounded by the read.

use herd_sdk::{Awaiting, Mark};

/// The unconsumed input of a session.
#[derive(Debug)]
pub(crate) struct InputBuffer {
    unconsumed: Vec<u8>,
    /// Number of leading bytes that a guest has seen and not consumed. They hold nothing that it awaits.
    scanned: usize,
    awaits: Awaiting,
    /// The client has ended its input.
    ended: bool,
}

/// The input to decide next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Window<'a> {
    /// The bytes that the guest awaits have not arrived.
    Nothing,
    /// Bytes that contain what the guest awaits, and what their end means.
    Input(&'a [u8], Mark),
    /// The beginning of a line over the limit.
    Overlong(&'a [u8]),
}

impl InputBuffer {
    pub(crate) fn new() -> Self {
        Self { unconsumed: Vec::new(), scanned: 0, awaits: Awaiting::Delimiter(b'\n'), ended: false }
    }

    /// Appends the bytes of a read.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.unconsumed.extend_from_slice(bytes);
    }

    /// Marks the end of the input.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Returns whether the client has ended its input.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Returns whether part of a line waits for the rest.
    pub(crate) fn has_unfinished_line(&self) -> bool {
        !self.unconsumed.is_empty()
    }

    /// Returns the input to decide next: up to what the guest awaits, and further to about `bytes` bytes.
    pub(crate) fn window(&self, line_bytes_max: usize, bytes: usize) -> Window<'_> {
        let unconsumed = &*self.unconsumed;
        // A carriage return before the newline belongs to the line end, which is two bytes at most.
        let longest = line_bytes_max + 2;
        let needed = match self.awaits {
            Awaiting::Delimiter(byte) => {
                // Only new bytes are scanned: the guest has seen the others and found no delimiter. Scanning all of them on every
                // read would make a client that sends byte by byte cost the square of its line.
                let new = unconsumed.get(self.scanned..).unwrap_or_default();
                let end = new.iter().position(|&other| other == byte).map(|position| self.scanned + position);
                let line = end.unwrap_or(unconsumed.len());
                let returned = usize::from(unconsumed[..line].last() == Some(&b'\r'));
                if line - returned > line_bytes_max || line > longest {
                    return Window::Overlong(&unconsumed[..line.min(line_bytes_max)]);
                }
                end.map(|end| end + 1)
            }
            Awaiting::Bytes(count) => {
                // Refused as soon as the guest asks for too much, and not when the bytes arrive: the buffer must not grow so far.
                let needed = self.scanned.saturating_add(count as usize);
                if needed > longest {
                    return Window::Overlong(&unconsumed[..unconsumed.len().min(line_bytes_max)]);
                }
                (needed <= unconsumed.len()).then_some(needed)
            }
        };
        match needed {
            Some(needed) => {
                let window = &unconsumed[..needed.max(bytes.min(longest)).min(unconsumed.len())];
                // `End` goes only with the last bytes; a shorter window is followed by another.
                let all = window.len() == unconsumed.len();
                Window::Input(window, if self.ended && all { Mark::End } else { Mark::More })
            }
            None if self.ended && !unconsumed.is_empty() => Window::Input(unconsumed, Mark::End),
            None => Window::Nothing,
        }
    }

    /// Returns the length of the first half of a window of this length, cut behind a delimiter; `None` if the window is one
    /// line or the guest awaits counted bytes, which cannot be split.
    pub(crate) fn split_point(&self, window: usize) -> Option<usize> {
        let Awaiting::Delimiter(byte) = self.awaits else { return None };
        let line_end = |range: &[u8]| range.iter().position(|&other| other == byte).map(|position| position + 1);
        let first = line_end(&self.unconsumed[..window])?;
        // The last line end before the middle, or else the first one behind it: some half is always shorter than the window.
        let middle = window / 2;
        let half = self.unconsumed[..middle].iter().rposition(|&other| other == byte).map_or(first, |end| end + 1);
        (half < window).then_some(half)
    }

    /// Returns the first `count` bytes, or all if there are fewer.
    pub(crate) fn prefix(&self, count: usize) -> &[u8] {
        &self.unconsumed[..count.min(self.unconsumed.len())]
    }

    /// Removes the bytes that the guest consumed of a window of this length, and sets what it awaits next.
    pub(crate) fn consume(&mut self, consumed: usize, window: usize, awaits: Awaiting) {
        self.unconsumed.drain(..consumed);
        // The guest has seen the whole window: what it left of that is not shown to it again before new bytes arrive.
        self.scanned = window - consumed;
        self.awaits = awaits;
        // Thousands of idle sessions must not each hold the buffer of their longest line.
        if self.unconsumed.is_empty() && self.unconsumed.capacity() > RETAINED_BYTES_MAX {
            self.unconsumed = Vec::new();
        }
    }

    /// Returns whether some bytes have not been shown to the guest.
    pub(crate) fn has_unscanned(&self) -> bool {
        self.unconsumed.len() > self.scanned
    }

    /// Discards the input.
    pub(crate) fn clear(&mut self) {
        self.unconsumed = Vec::new();
        self.scanned = 0;
    }
}

/// Capacity that a session retains from line to line, in bytes: room for the usual report.
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
