//! Offset between the clocks of two nodes, measured with a ping.
//!
//! Reads no clock itself. The result is for operators: ranks are computed where a client connects, and no node judges a
//! report by its own clock. Bounds: one measurement per ping.

/// Round trip and clock offset of one ping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ClockOffset {
    round_trip_ns: i128,
    ahead_ns: i128,
}

impl ClockOffset {
    /// Computes the offset as the Network Time Protocol does (RFC 5905), from one timestamp of the peer: its clock is
    /// compared with the middle of the round trip, so the error is at most half of it.
    ///
    /// Arguments are the times at which the ping left, the peer answered, and the pong arrived, each in nanoseconds since
    /// the Unix epoch. Returns `None` if this node's clock was set back in between.
    pub(super) fn measure(sent_ns: u64, peer_ns: u64, now_ns: u64) -> Option<Self> {
        let round_trip_ns = i128::from(now_ns) - i128::from(sent_ns);
        (round_trip_ns >= 0)
            .then(|| Self { round_trip_ns, ahead_ns: i128::from(peer_ns) - (i128::from(sent_ns) + round_trip_ns / 2) })
    }

    /// Returns the round trip in milliseconds.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds for people")]
    pub(super) fn round_trip_ms(self) -> f64 {
        self.round_trip_ns as f64 / 1e6
    }

    /// Returns how far the peer's clock is ahead of this node's, in milliseconds.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds for people")]
    pub(super) fn ahead_ms(self) -> f64 {
        self.ahead_ns as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_offset_is_measured_from_the_middle_of_the_round_trip() {
        let offset = ClockOffset::measure(1_000_000, 9_000_000, 3_000_000).unwrap();
        assert_eq!((offset.round_trip_ms(), offset.ahead_ms()), (2.0, 7.0));
        assert_eq!(ClockOffset::measure(5, 5, 4), None, "no measurement across a clock that was set back");
    }
}
