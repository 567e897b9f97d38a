//! A candidate that makes the node's calls again without effect, and the differences of its decisions.

pub(crate) mod comparator;
pub(crate) mod decision_diff;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod shadow;
pub(crate) mod tally;
