//! Options of a swap, as every layer passes them on.

use serde::{Deserialize, Serialize};

/// Options that an operator gives with a swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapOptions {
    /// Accept a guest that failed its probation before.
    pub again: bool,
    /// Skip the rehearsal on recent decisions of the node.
    pub unrehearsed: bool,
    /// Refuse a guest whose records the present generation cannot read.
    pub reversible: bool,
}

impl SwapOptions {
    /// Parses a query such as `again=true&unrehearsed=false`. A missing option is false.
    ///
    /// # Errors
    ///
    /// A message for the operator: an option is unknown, or its value is not `true` or `false`.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            let value = match value {
                "true" => true,
                "false" => false,
                _ => return Err(format!("`{name}` is true or false")),
            };
            match name {
                "again" => options.again = value,
                "unrehearsed" => options.unrehearsed = value,
                "reversible" => options.reversible = value,
                _ => return Err(format!("a swap has no `{name}`; it has `again`, `unrehearsed` and `reversible`")),
            }
        }
        Ok(options)
    }

    /// Returns the options as a query, which [`parse`](Self::parse) reads back.
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
    fn swap_options_read_back_and_unknown_names_are_refused() {
        for bits in 0..8 {
            let [again, unrehearsed, reversible] = [1, 2, 4].map(|bit| bits & bit != 0);
            let options = SwapOptions { again, unrehearsed, reversible };
            assert_eq!(SwapOptions::parse(&options.query()), Ok(options));
        }
        assert_eq!(SwapOptions::parse("").unwrap(), SwapOptions::default());
        assert!(SwapOptions::parse("again=yes").unwrap_err().contains("true or false"));
        assert!(SwapOptions::parse("force=true").unwrap_err().contains("no `force`"));
    }
}
