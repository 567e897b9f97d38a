//! A share of calls in percent, and the selection of the calls that belong to it.
//!
//! Knows nothing of the calls.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A share of calls: 1 % to 100 %, in whole numbers. Serialized as its number of percent, in text.
///
/// # Examples
///
/// ```
/// use herd_model::Share;
///
/// let share: Share = "5%".parse()?;
/// assert_eq!(share.percent(), 5);
/// let included = (0..1000).filter(|&session| share.includes(session)).count();
/// assert!((45..=55).contains(&included));
/// assert!("0%".parse::<Share>().is_err());
/// # Ok::<(), herd_model::BadShare>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(u8);

/// A text is not a share. Holds the beginning of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share; one is written as 1% to 100%, in whole numbers")]
pub struct BadShare(String);

impl Share {
    /// All calls.
    pub const ALL: Self = Self(100);

    /// Returns the share in percent: 1 to 100.
    #[must_use]
    pub fn percent(self) -> u8 {
        self.0
    }

    /// Returns whether a call with these bits (a session number, or randomness) belongs to the share. Equal bits give equal
    /// results, and a larger share includes all calls of a smaller one.
    #[must_use]
    pub fn includes(self, random: u64) -> bool {
        // Not a counter, which all workers would share, and whose rhythm the calls could have too. Mixed, because a guest may
        // decide by the same random bits, and the sample would then be biased.
        let mixed = u64::from(u32::MAX) & (random.wrapping_mul(MIXER) >> 32);
        (mixed * 100) >> 32 < u64::from(self.0)
    }
}

impl FromStr for Share {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, BadShare> {
        let digits = text.strip_suffix('%').unwrap_or(text).trim_end();
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
        match digits.parse() {
            Ok(percent @ 1..=100) if plain => Ok(Self(percent)),
            _ => Err(BadShare(text.chars().take(TEXT_CHARS_MAX).collect())),
        }
    }
}

impl TryFrom<String> for Share {
    type Error = BadShare;

    fn try_from(text: String) -> Result<Self, BadShare> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.0.to_string()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// 2^64 divided by the golden ratio, as in Fibonacci hashing.
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;
/// Characters of a rejected text that the error shows.
const TEXT_CHARS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_parses_with_and_without_percent_sign_only() {
        for (text, percent) in [("100%", 100), ("1%", 1), ("5", 5), ("50 %", 50)] {
            assert_eq!(text.parse::<Share>().map(Share::percent), Ok(percent), "{text}");
        }
        for text in ["", "%", "0%", "0", "101%", "256", "-1%", "+5%", "5.5%", "abc", "5%%", "99999999999999999999"] {
            let said = text.parse::<Share>().unwrap_err().to_string();
            assert!(said.contains(&format!("`{text}`")) && said.contains("1% to 100%"), "{said}");
        }
    }

    #[test]
    fn share_takes_its_percentage_of_calls() {
        for percent in [1, 5, 50, 99, 100] {
            let share = Share(percent);
            let taken = (0..100_000_u64).filter(|&random| share.includes(random)).count();
            let wanted = usize::from(percent) * 1000;
            assert!(taken.abs_diff(wanted) <= 100, "{percent} %: {taken} of 100000");
        }
        assert!((0..1000).all(|bit| Share(100).includes(u64::MAX - bit)));
    }
}
