//! Choices and bytes of an input, from front to back, so that seeds can be written by hand and libFuzzer can splice them.
//!
//! Behind its end an input is zeros: every input means something.

/// Rest of an input.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Begins an input.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes a byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// Takes a number of two bytes, the lower one first.
    pub fn number(&mut self) -> usize {
        usize::from(self.byte()) | usize::from(self.byte()) << 8
    }

    /// Takes at most this many bytes.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Takes everything.
    pub fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }

    /// Returns the next step of an input that is a list of steps, as [`push_step`] wrote it: what to do, and with which bytes.
    pub fn step(&mut self) -> Option<(u8, &'a [u8])> {
        if self.0.is_empty() {
            return None;
        }
        let what = self.byte();
        let length = self.number();
        Some((what, self.take(length)))
    }
}

/// Appends a step to an input.
pub fn push_step(input: &mut Vec<u8>, what: u8, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("a step of a seed has at most 64 KiB");
    input.push(what);
    input.extend_from_slice(&length.to_le_bytes());
    input.extend_from_slice(bytes);
}

/// Cuts bytes into pieces whose lengths follow from a number.
pub fn cuts(bytes: &[u8], number: usize) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut state) = (bytes, number as u64 | 1);
    std::iter::from_fn(move || {
        // Xorshift: short pieces are frequent, and long ones occur.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let most = 1 << (state % 11);
        let length = 1 + (state >> 32) as usize % most;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
