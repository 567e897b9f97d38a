//! The MAC at the end of a JSON object, as lines and heads have it: `,"mac":"<64 hexadecimal digits>"`.
//!
//! Owns the form and the check. Knows nothing about what the object means. Lines and heads share one key without a prefix
//! of their own, because they cannot be mistaken for one another: a line begins with `{"number":`, a head with `{"count":`.

use super::key::Key;

/// Result of the check of a MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mac {
    /// The text has no MAC.
    Absent,
    /// The text has a MAC, and no key is at hand to check it.
    Unchecked,
    /// The MAC was computed with the key over this text.
    Valid,
    /// The MAC was computed with another key or over another text.
    Wrong,
}

impl Mac {
    /// Checks the MAC at the end of a JSON object that lacks its closing brace.
    pub(super) fn check(text: &[u8], key: Option<&Key>) -> Self {
        match (split(text), key) {
            (None, _) => Self::Absent,
            (Some(_), None) => Self::Unchecked,
            (Some((covered, mac)), Some(key)) if key.verifies(covered, mac) => Self::Valid,
            (Some(_), Some(_)) => Self::Wrong,
        }
    }

    /// Appends its MAC to a JSON object that lacks its closing brace.
    pub(super) fn append(text: &mut String, key: &Key) {
        let mac = key.mac(text.as_bytes());
        text.push_str(&format!("{BEFORE_MAC}{mac}\""));
    }
}

/// Splits a text into the bytes that the MAC covers and the MAC.
fn split(text: &[u8]) -> Option<(&[u8], &str)> {
    let (covered, ending) = text.split_at_checked(text.len().checked_sub(BEFORE_MAC.len() + 64 + 1)?)?;
    let digits = ending.strip_prefix(BEFORE_MAC.as_bytes())?.strip_suffix(b"\"")?;
    Some((covered, str::from_utf8(digits).ok()?))
}

const BEFORE_MAC: &str = ",\"mac\":\"";
