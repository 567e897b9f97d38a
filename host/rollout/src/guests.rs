//! Guests and transcripts that a node has: the guest of the configuration, those in memory, and those on disk.
//!
//! Bounds: the protocol names the guests that stay in memory; [`RolloutStore`] bounds those on disk.

use std::sync::Arc;

use herd_model::Digest;

use crate::protocol::guest_store::{GuestStore, chunk_of};
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
        if let Some(bytes) = self.in_memory(digest) {
            return Some(bytes);
        }
        let bytes = self.store.guest(digest).or_else(|| self.store.transcripts(digest))?;
        self.cache(digest, Arc::clone(&bytes));
        Some(bytes)
    }

    fn chunk(&mut self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)> {
        match self.in_memory(digest) {
            Some(bytes) => Some(chunk_of(&bytes, offset, bytes_max)),
            None => self.store.chunk(digest, offset, bytes_max),
        }
    }

    fn in_memory(&self, digest: Digest) -> Option<Arc<[u8]>> {
        let (_, bytes) = self.cached.iter().chain([&self.configured]).find(|(cached, _)| *cached == digest)?;
        Some(Arc::clone(bytes))
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
