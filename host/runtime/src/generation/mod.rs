//! One guest, compiled, checked and configured for one node.

pub(crate) mod accepted_guest;
pub(crate) mod code_source;
pub(crate) mod compatibility;
pub(crate) mod decision_counts;
pub(crate) mod generation;
pub(crate) mod instance_slot;
