//! Port of the state machine for the bytes of guests, their transcripts and their signatures.
//!
//! Implemented over memory and disk by the driver's side, over maps in tests.

use std::sync::Arc;

use herd_model::{Digest, GuestFiles};

/// Guest, and the transcripts and signatures that came beside it, as a node has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredFiles {
    pub(crate) guest: Arc<[u8]>,
    pub(crate) transcripts: Option<Arc<[u8]>>,
    pub(crate) signatures: Option<Arc<[u8]>>,
}

impl StoredFiles {
    /// Borrows them, for the host.
    pub(crate) fn borrowed(&self) -> GuestFiles<'_> {
        let (transcripts, signatures) = (self.transcripts.as_deref(), self.signatures.as_deref());
        GuestFiles { guest: &self.guest, transcripts, signatures }
    }

    /// Returns their digests.
    pub(crate) fn digests(&self) -> FileDigests {
        let digest = |bytes: &Option<Arc<[u8]>>| bytes.as_deref().map(Digest::of);
        let (transcripts, signatures) = (digest(&self.transcripts), digest(&self.signatures));
        FileDigests { guest: Digest::of(&self.guest), transcripts, signatures }
    }
}

impl From<GuestFiles<'_>> for StoredFiles {
    fn from(files: GuestFiles<'_>) -> Self {
        let (transcripts, signatures) = (files.transcripts.map(Into::into), files.signatures.map(Into::into));
        Self { guest: files.guest.into(), transcripts, signatures }
    }
}

/// Digests of a guest and of what came beside it. Each is fetched and stored by its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileDigests {
    pub(crate) guest: Digest,
    pub(crate) transcripts: Option<Digest>,
    pub(crate) signatures: Option<Digest>,
}

impl FileDigests {
    /// Returns all of them.
    pub(crate) fn all(self) -> impl Iterator<Item = Digest> {
        [Some(self.guest), self.transcripts, self.signatures].into_iter().flatten()
    }
}

/// Guests, transcripts and signatures whose bytes a node has. All are named by the digest of their bytes.
pub(crate) trait GuestStore: Send {
    /// Files with these digests, or the digest of the one that is missing.
    fn files(&mut self, digests: FileDigests) -> Result<StoredFiles, Digest> {
        // The guest first: what came beside it is of no use without it.
        let guest = self.find(digests.guest).ok_or(digests.guest)?;
        let mut beside = |digest: Option<Digest>| digest.map(|digest| self.find(digest).ok_or(digest)).transpose();
        Ok(StoredFiles { guest, transcripts: beside(digests.transcripts)?, signatures: beside(digests.signatures)? })
    }

    /// Signatures that this node has of a guest, from memory or disk.
    fn signatures(&mut self, guest: Digest) -> Option<Arc<[u8]>>;

    /// Notes the signatures of a guest, for as long as it is in memory or until it gets others.
    fn sign(&mut self, guest: Digest, signatures: Arc<[u8]>);

    /// Signatures of a guest that were noted. None if they are on disk or it has none.
    fn signatures_in_memory(&self, guest: Digest) -> Option<Arc<[u8]>>;

    /// Bytes of a guest, of transcripts or of signatures, from memory or disk.
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>>;

    /// At most `bytes_max` bytes of a guest or of what came beside it from an offset on, with the length of the whole. Bytes on disk are
    /// not verified: the neighbour that asked for them does that, and hashing them all for each chunk would hold up this node.
    fn chunk(&mut self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)>;

    /// Bytes in memory. None if they are on disk or not here.
    fn in_memory(&self, digest: Digest) -> Option<Arc<[u8]>>;

    /// Holds bytes in memory until [`retain_only`](Self::retain_only) drops them.
    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>);

    /// Drops everything from memory but these.
    fn retain_only(&mut self, wanted: &[Digest]);
}
