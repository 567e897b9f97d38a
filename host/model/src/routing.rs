//! Assignment of sessions to the active generation or the canary.
//!
//! Knows sessions by their number only.

use crate::generation_id::GenerationId;
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

/// A snapshot of the assignment of sessions: which generation is first in line for each.
///
/// # Examples
///
/// ```
/// use herd_model::{GenerationId, Side, Sides};
///
/// let everything = Sides::new(GenerationId(1)).with_canary(GenerationId(2), "100%".parse()?);
/// assert_eq!((everything.of(7), everything.first_in_line(7)), (Side::Canary, GenerationId(2)));
/// assert_eq!(Sides::new(GenerationId(1)).of(7), Side::Active);
/// # Ok::<(), herd_model::BadShare>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    active: GenerationId,
    canary: Option<(GenerationId, Share)>,
}

impl Sides {
    /// Assigns every session to the active generation.
    #[must_use]
    pub fn new(active: GenerationId) -> Self {
        Self { active, canary: None }
    }

    /// Assigns this share of the sessions to a canary.
    #[must_use]
    pub fn with_canary(self, canary: GenerationId, share: Share) -> Self {
        Self { canary: Some((canary, share)), ..self }
    }

    /// Returns the side of a session. Sticky: it changes only with the share, and a session of the canary stays there when the
    /// share grows.
    #[must_use]
    pub fn of(self, session: u64) -> Side {
        if self.canary.is_some_and(|(_, share)| share.includes(session)) { Side::Canary } else { Side::Active }
    }

    /// Returns the generation that decides for a session unless it faults.
    #[must_use]
    pub fn first_in_line(self, session: u64) -> GenerationId {
        match self.canary {
            Some((canary, share)) if share.includes(session) => canary,
            _ => self.active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_keep_a_session_on_its_side_while_the_share_grows() {
        let taken = |percent: &str| {
            let sides = Sides::new(GenerationId(1)).with_canary(GenerationId(2), percent.parse().unwrap());
            (0..10_000).filter(|&session| sides.of(session) == Side::Canary).collect::<Vec<_>>()
        };
        let (few, more) = (taken("5%"), taken("20%"));
        assert!(few.len().abs_diff(500) < 50 && more.len().abs_diff(2000) < 100, "{} and {}", few.len(), more.len());
        assert!(few.iter().all(|session| more.contains(session)));
        assert!((0..100).all(|session| Sides::new(GenerationId(1)).of(session) == Side::Active));
    }
}
