//! Herd that follows a file.

use herd_admin::Refusal;
use serde_json::Value;

/// Herd to swap whenever the file changes. Methods block.
pub(super) trait SwapTarget {
    /// Returns the number of the active generation if every node serves the guest with this digest.
    fn serving(&self, digest: &str) -> Option<u64>;

    /// Swaps the whole herd, also to a guest that failed its probation: its author is at work on it.
    ///
    /// # Errors
    ///
    /// The herd refused the guest, or cannot swap now. Nothing changed.
    fn swap(&self, guest: &[u8]) -> Result<Value, Refusal>;

    /// Returns the number of nodes.
    fn nodes(&self) -> usize;
}
