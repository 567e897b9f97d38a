//! Port through which a call reads records.
//!
//! Owns the trait only. It must not know who holds the records: a node, a test or another logic. The host allows at most
//! 64 keys in one look-up.

use crate::event::Found;

/// Read access to the records of a node.
pub trait Records {
    /// Returns the current record of each key, in the order of the keys.
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>>;
}
