//! The system clock and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use herd_sdk::Moment;

/// The world as a decision that begins now sees it.
#[must_use]
pub fn moment() -> Moment {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment { now_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), random: rand::random() }
}
