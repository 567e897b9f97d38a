//! Assignment of sessions to the active generation or the canary.
//!
//! Knows sessions by their number only.

use crate::share::Share;

/// The generation that decides for a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The active generation.
    #[default]
    Active,
    /// The canary. If it has ended since, the active generation.
    Canary,
}

/// A snapshot of the assignment of sessions.
///
/// # Examples
///
/// ```
/// use herd_model::{Side, Sides};
///
/// let everything = Sides::new(Some("100%".parse()?));
/// assert_eq!(everything.of(7), Side::Canary);
/// assert_eq!(Sides::new(None).of(7), Side::Active);
/// # Ok::<(), herd_model::BadShare>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sides(Option<Share>);

impl Sides {
    /// Assigns this share of the sessions to the canary; `None` if no canary runs.
    #[must_use]
    pub fn new(canary: Option<Share>) -> Self {
        Self(canary)
    }

    /// Returns the side of a session. Sticky: it changes only with the share, and a session of the canary stays there when the
    /// share grows.
    #[must_use]
    pub fn of(self, session: u64) -> Side {
        if self.0.is_some_and(|share| share.includes(session)) { Side::Canary } else { Side::Active }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_keep_a_session_on_its_side_while_the_share_grows() {
        let taken = |percent: &str| {
            let sides = Sides(Some(percent.parse().unwrap()));
            (0..10_000).filter(|&session| sides.of(session) == Side::Canary).collect::<Vec<_>>()
        };
        let (few, more) = (taken("5%"), taken("20%"));
        assert!(few.len().abs_diff(500) < 50 && more.len().abs_diff(2000) < 100, "{} and {}", few.len(), more.len());
        assert!(few.iter().all(|session| more.contains(session)));
        assert!((0..100).all(|session| Sides(None).of(session) == Side::Active));
    }
}
