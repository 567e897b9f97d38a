//! Numbers on the command line. Their errors say what to write; those of the standard library name types of Rust.

use std::fmt::Display;
use std::time::Duration;

/// Parses a whole number from 1 to `MAX`.
///
/// # Errors
///
/// The text is something else; the message continues `invalid value '...':`.
pub(super) fn whole<const MAX: usize>(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().ok().filter(|number| (1..=MAX).contains(number));
    number.ok_or_else(|| format!("write a whole number from 1 to {MAX}"))
}

/// Parses a whole number of days, 1 to a hundred years.
///
/// # Errors
///
/// The text is something else; the message continues `invalid value '...':`.
pub(super) fn days(text: &str) -> Result<Duration, String> {
    let seconds = |days: usize| Duration::from_secs(24 * 3600 * days as u64);
    whole::<36_500>(text).map(seconds).map_err(|error| format!("{error}, in days"))
}

/// Parses a number of seconds, 0 to a year, such as `10` or `0.5`.
///
/// # Errors
///
/// The text is something else; the message continues `invalid value '...':`.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "write a number of seconds, such as 10 or 0.5".into())
}

/// Parses a number of seconds as [`seconds`] does, but more than 0.
///
/// # Errors
///
/// The text is something else; the message continues `invalid value '...':`.
pub(super) fn seconds_from_1_ms(text: &str) -> Result<Duration, String> {
    let duration = seconds(text)?;
    if duration < Duration::from_millis(1) {
        return Err("write a number of seconds from 0.001, such as 10 or 0.5".into());
    }
    Ok(duration)
}

/// Parses a number per second, more than 0.
///
/// # Errors
///
/// The text is something else; the message continues `invalid value '...':`.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= RATE_MAX);
    rate.ok_or_else(|| "write a number per second, more than 0, such as 1000".into())
}

/// A year: longer waits are typing errors, and times beyond some centuries overflow.
const SECONDS_MAX: f64 = 365.0 * 24.0 * 3600.0;
/// One command a nanosecond.
const RATE_MAX: f64 = 1e9;

/// Returns a number with what is counted: `1 node`, `3 nodes`.
pub(super) fn counted(count: impl Display, what: &str) -> String {
    let count = count.to_string();
    format!("{count} {what}{}", if count == "1" { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_command_line_are_bounded() {
        assert_eq!((whole::<10>("1"), whole::<10>("10")), (Ok(1), Ok(10)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!((seconds("0"), rate("0.1")), (Ok(Duration::ZERO), Ok(0.1)));
        for text in ["", "abc", "-1", "nan", "inf", "1e300", "0x1"] {
            assert!(whole::<10>(text).is_err() && seconds(text).is_err() && rate(text).is_err(), "{text}");
        }
        assert_eq!(days("2"), Ok(Duration::from_secs(172_800)));
        assert!(days("0").is_err() && days("36501").is_err() && days("1.5").is_err());
        assert!(whole::<10>("0").is_err() && whole::<10>("11").is_err());
        assert!(seconds_from_1_ms("0").is_err() && rate("0").is_err());
    }
}
