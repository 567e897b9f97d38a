//! Records of a node, counted by form.
//!
//! Knows nothing of how they are kept. Bounds: those of the implementation.

use std::collections::BTreeMap;

use herd_sdk::Records;

/// Records that can be looked up by key and counted by form.
///
/// A swap asks which forms a node holds records of, so that no guest is accepted to which they would be unknown.
pub trait CountedRecords: Records + Send + Sync {
    /// Returns the number of records of each form. A form without records has no entry. Exact only while no record changes.
    fn form_counts(&self) -> BTreeMap<u32, usize>;
}
