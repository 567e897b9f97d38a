//! The guests that a node has at hand.

use std::sync::Arc;

use herd_model::Digest;

use crate::protocol::guest_store::GuestStore;
use crate::store::RolloutStore;

/// The guests that are at hand: that of the configuration, those in memory for as long as they are wanted, and those on disk.
pub(crate) struct Guests {
    store: RolloutStore,
    configured: (Digest, Arc<[u8]>),
    held: Vec<(Digest, Arc<[u8]>)>,
}

impl Guests {
    pub(crate) fn new(store: RolloutStore, configured: Arc<[u8]>) -> Self {
        Self { store, configured: (Digest::of(&configured), configured), held: Vec::new() }
    }
}

impl GuestStore for Guests {
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>> {
        let at_hand = self.held.iter().chain([&self.configured]).find(|(held, _)| *held == digest);
        if let Some((_, guest)) = at_hand {
            return Some(Arc::clone(guest));
        }
        // A peer asks for it part by part, so it stays in memory for a while.
        let guest = self.store.guest(digest)?;
        self.cache(digest, Arc::clone(&guest));
        Some(guest)
    }

    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>) {
        if !self.held.iter().any(|(held, _)| *held == digest) {
            self.held.push((digest, bytes));
        }
    }

    fn retain_only(&mut self, wanted: &[Digest]) {
        self.held.retain(|(held, _)| wanted.contains(held));
    }
}
