//! A candidate that decides the same calls without effect, and the differences.

pub(crate) mod comparator;
pub(crate) mod decision_diff;
pub(crate) mod shadow;
pub(crate) mod tally;
