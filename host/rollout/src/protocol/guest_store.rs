//! Port of the state machine for the bytes of guests and their transcripts.
//!
//! Implemented over memory and disk by the driver's side, over maps in tests.

use std::sync::Arc;

use herd_model::{Digest, GuestFiles};

/// Guest and the transcripts that came beside it, as a node has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredFiles {
    pub(crate) guest: Arc<[u8]>,
    pub(crate) transcripts: Option<Arc<[u8]>>,
}

impl StoredFiles {
    /// Borrows them, for the host.
    pub(crate) fn borrowed(&self) -> GuestFiles<'_> {
        GuestFiles { guest: &self.guest, transcripts: self.transcripts.as_deref() }
    }
}

/// At most `bytes_max` bytes from an offset on.
pub(crate) fn chunk_of(bytes: &[u8], offset: u64, bytes_max: usize) -> (u64, Vec<u8>) {
    let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
    (bytes.len() as u64, rest[..rest.len().min(bytes_max)].to_vec())
}

/// Guests and transcripts whose bytes a node has. Both are named by the digest of their bytes.
pub(crate) trait GuestStore: Send {
    /// Guest and transcripts with these digests, or the digest of the one that is missing.
    fn files(&mut self, guest: Digest, transcripts: Option<Digest>) -> Result<StoredFiles, Digest> {
        // The guest first: its transcripts are of no use without it.
        let guest = self.find(guest).ok_or(guest)?;
        let transcripts = transcripts.map(|digest| self.find(digest).ok_or(digest)).transpose()?;
        Ok(StoredFiles { guest, transcripts })
    }

    /// Bytes of a guest or of transcripts, from memory or disk.
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>>;

    /// At most `bytes_max` bytes of a guest or of transcripts from an offset on, with the length of the whole. Bytes on disk are
    /// not verified: the neighbour that asked for them does that, and hashing them all for each chunk would hold up this node.
    fn chunk(&mut self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)>;

    /// Bytes in memory. None if they are on disk or not here.
    fn in_memory(&self, digest: Digest) -> Option<Arc<[u8]>>;

    /// Holds bytes in memory until [`retain_only`](Self::retain_only) drops them.
    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>);

    /// Drops everything from memory but these.
    fn retain_only(&mut self, wanted: &[Digest]);
}
