//! Input of a session that was read and not yet consumed by a guest.
//!
//! Owns the bytes and what the guest awaits: a delimiter, or a number of bytes. Calls no guest itself: it returns a window of
//! input only once the awaited bytes have arrived. A client that sends byte by byte costs a scan of each byte once and one
//! call per line.
//!
//! What is awaited, and how much of the input was seen, is the word of one generation. Another one that is first in line since, or
//! that decided because the first one faulted, starts like at the beginning of a session: at the first byte, and awaiting a newline.
//! Otherwise a guest that awaits what never comes would silence its sessions for longer than it serves.
//!
//! Bounds: the length of a line, which the caller passes. What one read brings is bounded by the read.

use herd_model::GenerationId;
use herd_sdk::{Awaiting, Mark, Progress};

/// The unconsumed input of a session.
#[derive(Debug)]
pub(crate) struct InputBuffer {
    unconsumed: Vec<u8>,
    /// Number of leading bytes that a guest has seen and not consumed. They hold nothing that it awaits.
    seen: usize,
    /// Number of leading bytes that hold no awaited delimiter, from `seen` on.
    scanned: usize,
    awaits: Awaiting,
    /// The generation to which `seen` and `awaits` belong, which was first in line. None before the first decision.
    offered_to: Option<GenerationId>,
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

/// The first line of the input, if it begins in a certain way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It may become one; its end has not arrived.
    Unfinished,
    /// It begins in another way. Nothing was taken.
    Other,
    /// It is longer than it may be. Nothing was taken.
    TooLong,
    /// The line, which was taken, without its beginning and its newline.
    Taken(Vec<u8>),
}

impl InputBuffer {
    pub(crate) fn new() -> Self {
        Self { unconsumed: Vec::new(), seen: 0, scanned: 0, awaits: NEWLINE, offered_to: None, ended: false }
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

    /// Takes the first line if it begins with this. To be called before any input is offered.
    pub(crate) fn take_line_with(&mut self, beginning: &[u8], bytes_max: usize) -> Line {
        if !self.unconsumed.starts_with(beginning) {
            let may_begin = beginning.starts_with(&self.unconsumed) && !self.ended;
            return if may_begin { Line::Unfinished } else { Line::Other };
        }
        let end = self.unconsumed.iter().take(bytes_max).position(|&byte| byte == b'\n');
        let taken = match end {
            Some(end) => end + 1,
            None if self.unconsumed.len() >= bytes_max => return Line::TooLong,
            None if self.ended => self.unconsumed.len(),
            None => return Line::Unfinished,
        };
        let line = self.unconsumed[beginning.len()..end.unwrap_or(taken)].to_vec();
        self.unconsumed.drain(..taken);
        Line::Taken(line)
    }

    /// Sets the generation that is first in line for the next decision. If it is another one than before, the input is offered
    /// from its start, and a newline is awaited.
    pub(crate) fn offer_to(&mut self, first_in_line: GenerationId) {
        if self.offered_to != Some(first_in_line) {
            self.offered_to = Some(first_in_line);
            self.start_over();
        }
    }

    /// Returns the input to decide next: up to what the guest awaits, and further to about `bytes` bytes.
    pub(crate) fn window(&mut self, line_bytes_max: usize, bytes: usize) -> Window<'_> {
        let longest = line_bytes_max + LINE_END_BYTES_MAX;
        let unconsumed = &*self.unconsumed;
        let needed = match self.awaits {
            Awaiting::Delimiter(byte) => {
                // Only new bytes are scanned: the others hold no delimiter. Scanning all of them on every read would make a client
                // that sends byte by byte cost the square of its line.
                let new = unconsumed.get(self.scanned..).unwrap_or_default();
                let end = new.iter().position(|&other| other == byte).map(|position| self.scanned + position);
                let line = end.unwrap_or(unconsumed.len());
                self.scanned = line;
                if self.is_overlong(line, line_bytes_max) {
                    return Window::Overlong(&unconsumed[..line.min(line_bytes_max)]);
                }
                end.map(|end| end + 1)
            }
            Awaiting::Bytes(count) => {
                // Refused as soon as the guest asks for too much, and not when the bytes arrive: the buffer must not grow so far.
                let needed = self.seen.saturating_add(count as usize);
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

    /// Removes the bytes that a generation consumed of a window of this length, and sets what is awaited next.
    pub(crate) fn consume(&mut self, decided_by: GenerationId, progress: Progress, window: usize) {
        self.unconsumed.drain(..progress.consumed);
        // The guest has seen the whole window: what it left of that is not shown to it again before new bytes arrive.
        self.seen = window - progress.consumed;
        self.scanned = self.seen;
        self.awaits = progress.awaits;
        if self.offered_to != Some(decided_by) {
            // A rescue: what the fallback awaits says nothing about the generation that decides next. Nothing was consumed: that
            // generation has just been offered the same bytes, and would be again and again.
            self.awaits = NEWLINE;
            if progress.consumed > 0 {
                self.start_over();
            }
        }
        // Thousands of idle sessions must not each hold the buffer of their longest line.
        if self.unconsumed.is_empty() && self.unconsumed.capacity() > RETAINED_BYTES_MAX {
            self.unconsumed = Vec::new();
        }
    }

    /// Returns whether there is a window without new input: bytes that were not shown to the guest, or a line over the limit, whose
    /// beginning may have been shown behind another line.
    pub(crate) fn has_more(&self, line_bytes_max: usize) -> bool {
        self.unconsumed.len() > self.seen || self.is_overlong(self.seen, line_bytes_max)
    }

    /// Returns whether the first line is over the limit if it has this many bytes so far.
    fn is_overlong(&self, line: usize, line_bytes_max: usize) -> bool {
        let returned = usize::from(self.unconsumed[..line].last() == Some(&b'\r'));
        matches!(self.awaits, Awaiting::Delimiter(_))
            && (line - returned > line_bytes_max || line > line_bytes_max + LINE_END_BYTES_MAX)
    }

    /// Discards the input.
    pub(crate) fn clear(&mut self) {
        self.unconsumed = Vec::new();
        (self.seen, self.scanned) = (0, 0);
    }

    fn start_over(&mut self) {
        (self.seen, self.scanned) = (0, 0);
        self.awaits = NEWLINE;
    }
}

/// Awaited by a generation before its first decision for a session.
const NEWLINE: Awaiting = Awaiting::Delimiter(b'\n');

/// Capacity that a session retains from line to line, in bytes: room for the usual report.
const RETAINED_BYTES_MAX: usize = 256;

/// Length of a line end: a carriage return and the newline.
const LINE_END_BYTES_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: GenerationId = GenerationId(1);

    fn input(bytes: &[u8]) -> InputBuffer {
        let mut input = InputBuffer::new();
        input.offer_to(GUEST);
        input.extend(bytes);
        input
    }

    fn consume(input: &mut InputBuffer, consumed: usize, window: usize, awaits: Awaiting) {
        input.consume(GUEST, Progress { consumed, awaits }, window);
    }

    #[test]
    fn window_is_empty_until_the_awaited_bytes_arrive() {
        let mut input = input(b"");
        for byte in b"IAMA" {
            input.extend(&[*byte]);
            assert_eq!(input.window(16, 99), Window::Nothing);
        }
        input.extend(b"T\nrest");
        assert_eq!(input.window(16, 99), Window::Input(b"IAMAT\nrest", Mark::More));
        consume(&mut input, 6, 10, NEWLINE);
        assert_eq!(input.window(16, 99), Window::Nothing, "the rest has been seen");
        input.extend(b"\n");
        assert_eq!(input.window(16, 99), Window::Input(b"rest\n", Mark::More));
        consume(&mut input, 0, 5, Awaiting::Bytes(2));
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
        consume(&mut input, 5, 5, NEWLINE);
        assert_eq!(input.window(16, 99), Window::Input(b"rest", Mark::End));
        consume(&mut input, 4, 4, NEWLINE);
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

    /// Goal: a line is over the limit as soon as its bytes are there, also if a window showed its beginning behind another line.
    #[test]
    fn line_over_the_limit_that_was_shown_needs_no_further_byte() {
        for (shown, is_overlong) in [(&b"\n1234"[..], true), (b"\n123", false), (b"\n123\r", false)] {
            let mut input = input(shown);
            let Window::Input(window, Mark::More) = input.window(3, 99) else { panic!("the first line is short") };
            assert_eq!(window, shown);
            consume(&mut input, 1, shown.len(), NEWLINE);
            assert_eq!(input.has_more(3), is_overlong);
            assert_eq!(input.window(3, 99), if is_overlong { Window::Overlong(b"123") } else { Window::Nothing });
        }
    }

    #[test]
    fn window_never_holds_a_second_line_over_the_limit() {
        let mut short_then_long = input(b"1\n1234\n");
        assert_eq!(short_then_long.window(3, 99), Window::Input(b"1\n123", Mark::More));
    }

    #[test]
    fn line_limit_refuses_counted_bytes_before_they_arrive() {
        let mut input = input(b"ab\n");
        consume(&mut input, 3, 3, Awaiting::Bytes(11));
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
