//! Port of the state machine for the bytes of guests.
//!
//! Implemented over memory and disk by the driver's side, over maps in tests.

use std::sync::Arc;

use herd_model::Digest;

/// Guests whose bytes a node has.
pub(crate) trait GuestStore: Send {
    /// Bytes of a guest, from memory or disk.
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>>;

    /// Holds bytes in memory until [`retain_only`](Self::retain_only) drops them.
    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>);

    /// Drops every guest from memory but these.
    fn retain_only(&mut self, wanted: &[Digest]);
}
