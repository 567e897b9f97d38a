//! Guests, transcripts and signatures that a node has: the guest of the configuration, those in memory, and those on disk.
//!
//! Bounds: the protocol names the guests that stay in memory; the [`GuestDisk`] bounds those on disk.

use std::sync::Arc;

use herd_model::{Chunk, Digest, SignedGuest};

use crate::protocol::guest_store::GuestStore;

/// Guests, transcripts and signatures on the disk of a node, by the digest of their bytes.
pub trait GuestDisk: Send {
    /// Returns the bytes. `None` if they are absent or damaged.
    fn read(&self, digest: Digest) -> Option<Arc<[u8]>>;

    /// Returns at most `bytes_max` bytes from an offset on, with the length of the whole. They need not be verified.
    fn read_part(&self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)>;

    /// Returns the signatures of a guest. `None` if it has none here. They need not be verified.
    fn signatures(&self, guest: Digest) -> Option<Arc<[u8]>> {
        let _ = guest;
        None
    }
}

/// Guest store of a node.
pub(crate) struct Guests {
    disk: Box<dyn GuestDisk>,
    configured: (Digest, SignedGuest),
    cached: Vec<(Digest, Arc<[u8]>)>,
    /// Guests with their signatures, and the digest of these.
    signed: Vec<Signed>,
}

struct Signed {
    guest: Digest,
    digest: Digest,
    signatures: Arc<[u8]>,
}

impl Guests {
    pub(crate) fn new(disk: Box<dyn GuestDisk>, configured: SignedGuest) -> Self {
        let (guest, signatures) = (configured.digest(), configured.signatures.clone());
        let mut guests = Self { disk, configured: (guest, configured), cached: Vec::new(), signed: Vec::new() };
        if let Some(signatures) = signatures {
            guests.sign(guest, signatures);
        }
        guests
    }
}

impl GuestStore for Guests {
    fn signatures(&mut self, guest: Digest) -> Option<Arc<[u8]>> {
        self.signatures_in_memory(guest).or_else(|| self.disk.signatures(guest))
    }

    fn sign(&mut self, guest: Digest, signatures: Arc<[u8]>) {
        self.signed.retain(|signed| signed.guest != guest);
        self.signed.push(Signed { guest, digest: Digest::of(&signatures), signatures });
    }

    fn signatures_in_memory(&self, guest: Digest) -> Option<Arc<[u8]>> {
        let signed = self.signed.iter().find(|signed| signed.guest == guest)?;
        Some(Arc::clone(&signed.signatures))
    }

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
            Some(bytes) => Some(Chunk::part(&bytes, offset, bytes_max)),
            None => self.disk.read_part(digest, offset, bytes_max),
        }
    }

    fn in_memory(&self, digest: Digest) -> Option<Arc<[u8]>> {
        let cached = self.cached.iter().map(|(cached, bytes)| (cached, bytes));
        let configured = (&self.configured.0, &self.configured.1.guest);
        let signed = self.signed.iter().map(|signed| (&signed.digest, &signed.signatures));
        let (_, bytes) = cached.chain([configured]).chain(signed).find(|(known, _)| **known == digest)?;
        Some(Arc::clone(bytes))
    }

    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>) {
        if !self.cached.iter().any(|(cached, _)| *cached == digest) {
            self.cached.push((digest, bytes));
        }
    }

    fn retain_only(&mut self, wanted: &[Digest]) {
        self.cached.retain(|(cached, _)| wanted.contains(cached));
        let configured = self.configured.0;
        self.signed.retain(|signed| wanted.contains(&signed.guest) || signed.guest == configured);
    }
}
