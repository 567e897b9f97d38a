//! A guest as an operator hands it over.
//!
//! Has no bounds of its own; [`limits`](crate::limits) has those of the parts.

use std::sync::Arc;

use crate::digest::Digest;

/// The bytes of a guest's file, and the transcripts and signatures that come beside it.
///
/// The digest of a guest is that of its file, so neither takes part in it: `herd swap --transcripts` changes what is tested and `herd sign`
/// who answers for it, not what serves.
///
/// ```
/// use herd_model::GuestFiles;
///
/// let alone = GuestFiles::from(b"\0asm".as_slice());
/// assert_eq!((alone.transcripts, alone.signatures), (None, None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestFiles<'a> {
    /// Bytes of the component.
    pub guest: &'a [u8],
    /// JSON object of names and texts of transcripts, which the guest must pass in place of those inside it.
    pub transcripts: Option<&'a [u8]>,
    /// Signatures of the guest, as in the file beside it.
    pub signatures: Option<&'a [u8]>,
}

impl<'a> From<&'a [u8]> for GuestFiles<'a> {
    fn from(guest: &'a [u8]) -> Self {
        Self { guest, transcripts: None, signatures: None }
    }
}

/// A guest and its signatures, as a process keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedGuest {
    /// Bytes of the component.
    pub guest: Arc<[u8]>,
    /// Signatures of the guest, as in the file beside it.
    pub signatures: Option<Arc<[u8]>>,
}

impl SignedGuest {
    /// Returns the digest of the guest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.guest)
    }

    /// Borrows the files.
    #[must_use]
    pub fn files(&self) -> GuestFiles<'_> {
        GuestFiles { signatures: self.signatures.as_deref(), ..GuestFiles::from(&*self.guest) }
    }
}

impl From<GuestFiles<'_>> for SignedGuest {
    fn from(files: GuestFiles<'_>) -> Self {
        Self { guest: files.guest.into(), signatures: files.signatures.map(Into::into) }
    }
}

impl From<Arc<[u8]>> for SignedGuest {
    fn from(guest: Arc<[u8]>) -> Self {
        Self { guest, signatures: None }
    }
}
