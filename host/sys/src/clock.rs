//! The system clock and randomness.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use herd_sdk::Moment;

/// The world as a decision that begins now sees it.
#[must_use]
pub fn now() -> Moment {
    Moment { now_ns: u64::try_from(unix_now().as_nanos()).unwrap_or(u64::MAX), random: rand::random() }
}

/// Time since the Unix epoch; zero if the system's clock stands before it.
#[must_use]
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
