//! How a swap, a canary or a shadow is wished: the query of its request.

use crate::share::Share;
use crate::wish::SwapWish;

/// What an operator wants of a canary or a shadow, beyond the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareWish {
    /// How many of the sessions or calls.
    pub share: Share,
    /// What goes for a swap too.
    pub swap: SwapWish,
}

/// What a canary becomes the logic of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// Every node.
    OfTheHerd,
    /// The node that is asked.
    OfThisNode,
}

impl ShareWish {
    /// Reads a query such as `share=100&again=true`. There is no share to fall back to.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let share = query.split('&').find_map(|pair| pair.strip_prefix("share=")).ok_or("a `share` is needed")?;
        let share = share.parse().map_err(|bad: crate::share::BadShare| bad.to_string())?;
        let others: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("share=")).collect();
        Ok(Self { share, swap: SwapWish::parse(&others.join("&"))? })
    }

    /// The query that says the same.
    pub(super) fn query(self) -> String {
        format!("share={}&{}", self.share.percent(), self.swap.query())
    }
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
                "reversible" => wish.reversible = value,
                _ => return Err(format!("a swap has no `{name}`; it has `again`, `unrehearsed` and `reversible`")),
            }
        }
        Ok(wish)
    }

    /// The query that says the same.
    pub(super) fn query(self) -> String {
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
            let wish = SwapWish { again, unrehearsed, reversible };
            assert_eq!(SwapWish::parse(&wish.query()), Ok(wish));
        }
        assert_eq!(SwapWish::parse("").unwrap(), SwapWish::default());
        assert!(SwapWish::parse("again=yes").unwrap_err().contains("true or false"));
        assert!(SwapWish::parse("force=true").unwrap_err().contains("no `force`"));
    }

    #[test]
    fn a_share_is_needed_that_makes_sense() {
        let wish = ShareWish { share: "5%".parse().unwrap(), swap: SwapWish { again: true, ..SwapWish::default() } };
        assert_eq!(ShareWish::parse(&wish.query()), Ok(wish));
        for (query, words) in
            [("", "a `share` is needed"), ("share=0", "`0` is no share"), ("share=5&force=true", "no `force`")]
        {
            let said = ShareWish::parse(query).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
