//! Guests and transcripts that a node has: the guest of the configuration, those in memory, and those on disk.
//!
//! Bounds: the protocol names the guests that stay in memory; the [`GuestDisk`] bounds those on disk.

use std::sync::Arc;

use herd_model::Digest;

use crate::protocol::guest_store::{GuestStore, chunk_of};

/// Guests and transcripts on the disk of a node, by the digest of their bytes.
pub trait GuestDisk: Send {
    /// Returns the bytes. `None` if they are absent or damaged.
    fn read(&self, digest: Digest) -> Option<Arc<[u8]>>;

    /// Returns at most `bytes_max` bytes from an offset on, with the length of the whole. They need not be verified.
    fn read_part(&self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)>;
}

/// Guest store of a node.
pub(crate) struct Guests {
    disk: Box<dyn GuestDisk>,
    configured: (Digest, Arc<[u8]>),
    cached: Vec<(Digest, Arc<[u8]>)>,
}

impl Guests {
    pub(crate) fn new(disk: Box<dyn GuestDisk>, configured: Arc<[u8]>) -> Self {
        Self { disk, configured: (Digest::of(&configured), configured), cached: Vec::new() }
    }
}

impl GuestStore for Guests {
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>> {
        if let Some(bytes) = self.in_memory(digest) {
            return Some(bytes);
        }
        let bytes = self.disk.read(digest)?;
        self.cache(digest, Arc::clone(&bytes));
        Some(bytes)
    }

    fn chunk(&mut self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)> {
        match self.in_memory(digest) {
            Some(bytes) => Some(chunk_of(&bytes, offset, bytes_max)),
            None => self.disk.read_part(digest, offset, bytes_max),
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
