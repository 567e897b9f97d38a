//! How a call looks up records.

use crate::event::Found;

/// Looks up records as they are kept now.
pub trait Records {
    /// One item per key, in the order of the keys.
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>>;
}
