//! The guests whose bytes a node has.

use std::sync::Arc;

use herd_model::Digest;

/// The guests whose bytes a node has.
pub(crate) trait GuestStore: Send {
    /// The bytes of a guest.
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>>;

    /// Keeps bytes in memory until they are not [wanted](Self::retain_only).
    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>);

    /// Forgets what is in memory but for these.
    fn retain_only(&mut self, wanted: &[Digest]);
}
