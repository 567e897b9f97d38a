//! Guests and transcripts that a node has: the guest of the configuration, those in memory, and those on disk.
//!
//! Bounds: the protocol names the guests that stay in memory; [`RolloutStore`] bounds those on disk.

use std::sync::Arc;

use herd_model::Digest;

use crate::protocol::guest_store::GuestStore;
use crate::store::RolloutStore;

/// Guest store of a node.
pub(crate) struct Guests {
    store: RolloutStore,
    configured: (Digest, Arc<[u8]>),
    cached: Vec<(Digest, Arc<[u8]>)>,
}

impl Guests {
    pub(crate) fn new(store: RolloutStore, configured: Arc<[u8]>) -> Self {
        Self { store, configured: (Digest::of(&configured), configured), cached: Vec::new() }
    }
}

impl GuestStore for Guests {
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>> {
        let in_memory = self.cached.iter().chain([&self.configured]).find(|(cached, _)| *cached == digest);
        if let Some((_, guest)) = in_memory {
            return Some(Arc::clone(guest));
        }
        // A peer asks chunk by chunk, and the file must not be read and hashed for each.
        let bytes = self.store.guest(digest).or_else(|| self.store.transcripts(digest))?;
        self.cache(digest, Arc::clone(&bytes));
        Some(bytes)
    }

    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>) {
        if !self.cached.iter().any(|(cached, _)| *cached == digest) {
            self.cached.push((digest, bytes));
        }
    }

    fn retain_only(&mut self, wanted: &[Digest]) {
        self.cached.retain(|(cached, _)| wanted.contains(cached));
    }
}
