//! Size of the windows of a session: it shrinks while the session's input expands, and recovers.
//!
//! Limits on unsent output are checked before a decision and not within it, so a session can exceed them by what one window brings.
//! A guest may turn a line of a few bytes into a reply of many kilobytes; a full window of such lines would be megabytes.
//!
//! Knows neither guests nor replies. Bounds: [`WINDOW_BYTES_MIN`] to [`WINDOW_BYTES_MAX`].

/// Bytes that one call takes from a session, unless its first line is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowSize(usize);

impl WindowSize {
    pub(crate) fn bytes(self) -> usize {
        self.0
    }

    /// Adapts to a decision on a window whose effects hold `held` bytes, of which `held_max` are acceptable.
    pub(crate) fn on_decided(&mut self, held: usize, held_max: usize) {
        let mut expected = held;
        while expected > held_max && self.0 > WINDOW_BYTES_MIN {
            (self.0, expected) = (self.0 / 2, expected / 2);
        }
        // Doubled only while twice as much would be acceptable too, or the size would swing to and fro.
        if expected <= held_max / 2 && held == expected {
            self.0 = (self.0 * 2).min(WINDOW_BYTES_MAX);
        }
    }
}

impl Default for WindowSize {
    fn default() -> Self {
        Self(WINDOW_BYTES_MAX)
    }
}

/// About sixty reports.
const WINDOW_BYTES_MAX: usize = 4 << 10;
/// A few short lines: below that, each line has a call of its own anyway.
const WINDOW_BYTES_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_size_shrinks_after_a_window_that_expanded_and_recovers() {
        let mut size = WindowSize::default();
        size.on_decided(1000, 1000);
        assert_eq!(size.bytes(), 4096);
        size.on_decided(7000, 1000);
        assert_eq!(size.bytes(), 512, "the same expansion of an eighth is acceptable");
        size.on_decided(800, 1000);
        assert_eq!(size.bytes(), 512, "twice as much would not be acceptable");
        size.on_decided(usize::MAX, 1000);
        assert_eq!(size.bytes(), 64);
        let recovering: Vec<usize> = std::iter::repeat_with(|| {
            size.on_decided(500, 1000);
            size.bytes()
        })
        .take(7)
        .collect();
        assert_eq!(recovering, [128, 256, 512, 1024, 2048, 4096, 4096]);
    }
}
