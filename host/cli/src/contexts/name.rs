//! Name of a context.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Name of a context: at most 64 letters, digits, points, dashes and underscores, and no point first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ContextName(String);

impl ContextName {
    /// Returns the name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContextName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(is_plain)
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if is_name {
            return Ok(Self(text.into()));
        }
        Err(format!(
            "write at most {NAME_BYTES_MAX} letters, digits, points, dashes and underscores, with a letter or digit first"
        ))
    }
}

impl TryFrom<String> for ContextName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map_err(|why| format!("{:?} is no name of a context; {why}", text.chars().take(80).collect::<String>()))
    }
}

impl From<ContextName> for String {
    fn from(name: ContextName) -> Self {
        name.0
    }
}

impl Display for ContextName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_name_is_plain_and_short() {
        for name in ["a", "prod", "prod-eu.2_b", &"x".repeat(64)] {
            assert_eq!(name.parse::<ContextName>().unwrap().as_str(), name);
        }
        for name in ["", ".", "-a", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
            assert!(name.parse::<ContextName>().is_err(), "{name:?}");
        }
    }
}
