//! The offset of a peer's clock, measured with pings.

/// What a ping tells about two clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ClockOffset {
    round_trip_ns: i128,
    ahead_ns: i128,
}

impl ClockOffset {
    /// From when a ping left, what the peer's clock showed, and when the pong came. The peer's clock is compared with
    /// the middle of the round trip.
    pub(super) fn measure(sent_ns: u64, peer_ns: u64, now_ns: u64) -> Option<Self> {
        let round_trip_ns = i128::from(now_ns) - i128::from(sent_ns);
        (round_trip_ns >= 0)
            .then(|| Self { round_trip_ns, ahead_ns: i128::from(peer_ns) - (i128::from(sent_ns) + round_trip_ns / 2) })
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds for people")]
    pub(super) fn round_trip_ms(self) -> f64 {
        self.round_trip_ns as f64 / 1e6
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds for people")]
    pub(super) fn ahead_ms(self) -> f64 {
        self.ahead_ns as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_ahead_is_measured_against_the_middle_of_the_round_trip() {
        let offset = ClockOffset::measure(1_000_000, 9_000_000, 3_000_000).unwrap();
        assert_eq!((offset.round_trip_ms(), offset.ahead_ms()), (2.0, 7.0));
        assert_eq!(ClockOffset::measure(5, 5, 4), None, "a clock that was set back measures nothing");
    }
}
