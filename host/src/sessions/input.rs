//! Input that was read and not yet consumed.
//!
//! A guest is only called when what it waits for is there, and only new bytes are looked at for that, so a client
//! that sends byte by byte costs a look at each byte and one call per line.

use herd_sdk::{Awaiting, Mark};

/// What is left over of a session's input. Empty and without an allocation while a client is idle.
#[derive(Debug)]
pub(super) struct InputBuffer {
    rest: Vec<u8>,
    /// How many bytes of the rest the guest has seen.
    seen: usize,
    awaits: Awaiting,
    /// The client has ended its input.
    ended: bool,
}

impl InputBuffer {
    pub(super) fn new() -> Self {
        Self { rest: Vec::new(), seen: 0, awaits: Awaiting::Delimiter(b'\n'), ended: false }
    }

    /// Takes what a read brought.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// Takes the end of the input.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The client has ended its input.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// There is part of a line.
    pub(super) fn is_unfinished(&self) -> bool {
        !self.rest.is_empty()
    }

    /// What to give to the guest now, if anything. Never more than a line of the greatest length and its
    /// newline, so that a line over the limit is noticed whatever else was read.
    pub(super) fn window(&self, line_bytes_max: usize) -> Option<(&[u8], Mark)> {
        let window = &self.rest[..self.rest.len().min(line_bytes_max + 1)];
        let all = window.len() == self.rest.len();
        if self.ended && all {
            return (!window.is_empty()).then_some((window, Mark::End));
        }
        let enough = match self.awaits {
            Awaiting::Delimiter(byte) => window.get(self.seen..).is_some_and(|new| new.contains(&byte)),
            Awaiting::Bytes(count) => window.len() >= self.seen.saturating_add(count as usize),
        };
        (enough || window.len() > line_bytes_max).then_some((window, Mark::More))
    }

    /// The guest has consumed so much of a window of this length and waits for this.
    pub(super) fn consume(&mut self, consumed: usize, window: usize, awaits: Awaiting) {
        self.rest.drain(..consumed);
        self.seen = window - consumed;
        self.awaits = awaits;
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
    }

    /// Nothing of the rest will be decided.
    pub(super) fn clear(&mut self) {
        self.rest = Vec::new();
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Awaiting = Awaiting::Delimiter(b'\n');

    #[test]
    fn nothing_is_given_before_what_is_awaited_is_there() {
        let mut input = InputBuffer::new();
        for byte in b"IAMA" {
            input.extend(&[*byte]);
            assert_eq!(input.window(16), None);
        }
        input.extend(b"T\nrest");
        assert_eq!(input.window(16), Some((&b"IAMAT\nrest"[..], Mark::More)));
        input.consume(6, 10, LINE);
        assert_eq!(input.window(16), None, "the rest has been seen");
        input.extend(b"\n");
        assert_eq!(input.window(16), Some((&b"rest\n"[..], Mark::More)));
        input.consume(0, 5, Awaiting::Bytes(2));
        input.extend(b"a");
        assert_eq!(input.window(16), None);
        input.extend(b"b");
        assert_eq!(input.window(16), Some((&b"rest\nab"[..], Mark::More)));
    }

    #[test]
    fn the_end_of_the_input_completes_a_rest() {
        let mut input = InputBuffer::new();
        input.extend(b"rest");
        input.end();
        assert_eq!(input.window(16), Some((&b"rest"[..], Mark::End)));
        input.consume(4, 4, LINE);
        assert_eq!(input.window(16), None);
    }

    #[test]
    fn a_line_of_the_greatest_length_fits_and_one_byte_more_does_not() {
        let mut input = InputBuffer::new();
        input.extend(b"12345678\nnext");
        assert_eq!(input.window(8), Some((&b"12345678\n"[..], Mark::More)));
        input.consume(9, 9, LINE);
        input.extend(b"56789\n");
        assert_eq!(input.window(8), Some((&b"next56789"[..], Mark::More)), "nine bytes and no newline among them");
    }
}
