//! Which generation decides for which session.

use crate::share::Share;

/// Who decides for a session: the active generation, or the canary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The active one.
    #[default]
    Active,
    /// The canary, if there still is one.
    Canary,
}

/// Who decides for which sessions, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sides(Option<Share>);

impl Sides {
    /// The canary takes this share of the sessions; `None` when there is no canary.
    #[must_use]
    pub fn new(canary: Option<Share>) -> Self {
        Self(canary)
    }

    /// Who decides for a session of this number. The same for as long as the share does not change, and a session that a
    /// share takes is taken by a wider one too.
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
