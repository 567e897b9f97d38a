//! How a swap, a canary or a shadow is wished: the query of its request.

use herd_model::{Share, SwapOptions};

/// What an operator wants of a canary or a shadow, beyond the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareOptions {
    /// How many of the sessions or calls.
    pub share: Share,
    /// What goes for a swap too.
    pub swap: SwapOptions,
}

impl ShareOptions {
    /// Reads a query such as `share=100&again=true`. There is no share to fall back to.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let share = query.split('&').find_map(|pair| pair.strip_prefix("share=")).ok_or("a `share` is needed")?;
        let share = share.parse().map_err(|bad: herd_model::BadShare| bad.to_string())?;
        let others: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("share=")).collect();
        Ok(Self { share, swap: SwapOptions::parse(&others.join("&"))? })
    }

    /// The query that says the same.
    pub(super) fn query(self) -> String {
        format!("share={}&{}", self.share.percent(), self.swap.query())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_needed_that_makes_sense() {
        let options =
            ShareOptions { share: "5%".parse().unwrap(), swap: SwapOptions { again: true, ..SwapOptions::default() } };
        assert_eq!(ShareOptions::parse(&options.query()), Ok(options));
        for (query, words) in
            [("", "a `share` is needed"), ("share=0", "`0` is no share"), ("share=5&force=true", "no `force`")]
        {
            let said = ShareOptions::parse(query).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
