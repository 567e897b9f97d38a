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

    /// Holds bytes in memory until [`retain_only`](Self::retain_only) drops them.
    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>);

    /// Drops everything from memory but these.
    fn retain_only(&mut self, wanted: &[Digest]);
}
