//! A herd that follows a file.

use herd_admin::Refusal;
use serde_json::Value;

/// A herd that can be had to swap, from inside or from outside.
pub(super) trait SwapTarget {
    /// The number of the generation, if every node that is known serves this guest.
    fn serving(&self, digest: &str) -> Option<u64>;

    /// Has the whole herd swap.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn swap(&self, guest: &[u8]) -> Result<Value, Refusal>;

    /// How many nodes there are.
    fn nodes(&self) -> usize;
}
