//! The system clock and randomness.
//!
//! Owns nothing. Other crates read the time of day and randomness of a decision here, and pass both on as arguments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use herd_sdk::Moment;

/// Reads the clock and draws 128 random bits, for a decision that begins now.
#[must_use]
pub fn now() -> Moment {
    Moment { now_ns: unix_now_ns(), random: rand::random() }
}

/// Returns the nanoseconds since the Unix epoch; zero if the system clock is set before it.
#[must_use]
pub fn unix_now_ns() -> u64 {
    u64::try_from(unix_now().as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the time since the Unix epoch; zero if the system clock is set before it.
#[must_use]
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
