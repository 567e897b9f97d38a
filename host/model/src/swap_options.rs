//! What an operator wants of a swap beyond the guest, as every layer passes it on.

use serde::{Deserialize, Serialize};

/// What an operator wants of a swap, beyond the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapOptions {
    /// Also for a guest that failed its probation before.
    pub again: bool,
    /// Without rehearsing on the last decisions of the node.
    pub unrehearsed: bool,
    /// Only if the generation before can read what this one writes.
    pub reversible: bool,
}

impl SwapOptions {
    /// Reads a query such as `again=true&unrehearsed=false`. What is not there is false.
    ///
    /// # Errors
    ///
    /// The query is wrong, in words.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut wish = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            let value = match value {
                "true" => true,
                "false" => false,
                _ => return Err(format!("`{name}` is true or false")),
            };
            match name {
                "again" => wish.again = value,
                "unrehearsed" => wish.unrehearsed = value,
                "reversible" => wish.reversible = value,
                _ => return Err(format!("a swap has no `{name}`; it has `again`, `unrehearsed` and `reversible`")),
            }
        }
        Ok(wish)
    }

    /// The query that says the same.
    #[must_use]
    pub fn query(self) -> String {
        let Self { again, unrehearsed, reversible } = self;
        format!("again={again}&unrehearsed={unrehearsed}&reversible={reversible}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_reads_back_and_nonsense_is_named() {
        for bits in 0..8 {
            let [again, unrehearsed, reversible] = [1, 2, 4].map(|bit| bits & bit != 0);
            let wish = SwapOptions { again, unrehearsed, reversible };
            assert_eq!(SwapOptions::parse(&wish.query()), Ok(wish));
        }
        assert_eq!(SwapOptions::parse("").unwrap(), SwapOptions::default());
        assert!(SwapOptions::parse("again=yes").unwrap_err().contains("true or false"));
        assert!(SwapOptions::parse("force=true").unwrap_err().contains("no `force`"));
    }
}
