//! Ends of keys.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

/// Moment from which on a key signs nothing that a node accepts anew.
///
/// ```
/// use std::time::Duration;
///
/// use herd_signing::Expiry;
///
/// let expiry: Expiry = "2027-01-01".parse()?;
/// assert_eq!(expiry.to_string(), "2027-01-01T00:00:00Z");
/// assert!(expiry.is_over(Duration::from_secs(1_798_761_600)) && !expiry.is_over(Duration::from_secs(1_798_761_599)));
/// # Ok::<(), herd_signing::BadExpiry>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(Timestamp);

impl Expiry {
    /// Returns whether it has passed at a time since the Unix epoch.
    #[must_use]
    pub fn is_over(self, now: Duration) -> bool {
        Duration::try_from(self.0.duration_since(Timestamp::UNIX_EPOCH)).is_ok_and(|expiry| now >= expiry)
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Parses a time with its offset from UTC, or a date, which stands for its begin in UTC.
impl FromStr for Expiry {
    type Err = BadExpiry;

    fn from_str(text: &str) -> Result<Self, BadExpiry> {
        // A time without an offset would be another moment on each node.
        let is_date = text.len() == DATE_BYTES;
        let parsed = if is_date { format!("{text}T00:00:00Z").parse::<Timestamp>() } else { text.parse() };
        let expiry = parsed.map_err(|_| BadExpiry(text.into()))?;
        // A key of before 1970 is a slip of the pen, and durations count from there.
        if expiry < Timestamp::UNIX_EPOCH { Err(BadExpiry(text.into())) } else { Ok(Self(expiry)) }
    }
}

/// A text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no moment at which a key expires; write a date, whose begin in UTC it is, such as \"2027-01-01\", or a time such as \"2027-01-01T12:00:00Z\"", .0.escape_debug())]
pub struct BadExpiry(String);

/// Length of a date.
const DATE_BYTES: usize = "2027-01-01".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_a_date_in_utc_or_a_time_with_its_offset() {
        let shown = |text: &str| text.parse::<Expiry>().map(|expiry| expiry.to_string());
        assert_eq!(shown("2027-01-01"), Ok("2027-01-01T00:00:00Z".into()));
        assert_eq!(shown("2027-01-01T02:00:00+02:00"), Ok("2027-01-01T00:00:00Z".into()));
        for text in ["", "soon", "2027-01-01T12:00:00", "2027-13-01", "1969-01-01"] {
            assert_eq!(shown(text), Err(BadExpiry(text.into())));
        }
    }
}
