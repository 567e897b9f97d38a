//! How a swap is wished: the query of its request.

/// What an operator wants of a swap, beyond the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwapWish {
    /// Also for a guest that failed its probation before.
    pub again: bool,
    /// Without rehearsing on the last decisions of the node.
    pub unrehearsed: bool,
}

impl SwapWish {
    /// Reads a query such as `again=true&unrehearsed=false`. What is not there is false.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
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
                _ => return Err(format!("a swap has no `{name}`; it has `again` and `unrehearsed`")),
            }
        }
        Ok(wish)
    }

    /// The query that says the same.
    pub(super) fn query(self) -> String {
        let Self { again, unrehearsed } = self;
        format!("again={again}&unrehearsed={unrehearsed}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_reads_back_and_nonsense_is_named() {
        for (again, unrehearsed) in [(false, false), (true, false), (false, true), (true, true)] {
            let wish = SwapWish { again, unrehearsed };
            assert_eq!(SwapWish::parse(&wish.query()), Ok(wish));
        }
        assert_eq!(SwapWish::parse("").unwrap(), SwapWish::default());
        assert!(SwapWish::parse("again=yes").unwrap_err().contains("true or false"));
        assert!(SwapWish::parse("force=true").unwrap_err().contains("no `force`"));
    }
}
