//! A guest as an operator hands it over.
//!
//! Borrows only, so it has no bounds of its own; [`limits`](crate::limits) has those of the parts.

/// The bytes of a guest's file, and the transcripts that come beside it.
///
/// The digest of a guest is that of its file, so the transcripts do not take part in it: `herd swap --transcripts` changes what
/// is tested, not what serves.
///
/// ```
/// use herd_model::GuestFiles;
///
/// let alone = GuestFiles::from(b"\0asm".as_slice());
/// assert_eq!(alone.transcripts, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestFiles<'a> {
    /// Bytes of the component.
    pub guest: &'a [u8],
    /// JSON object of names and texts of transcripts, which the guest must pass in place of those inside it.
    pub transcripts: Option<&'a [u8]>,
}

impl<'a> From<&'a [u8]> for GuestFiles<'a> {
    fn from(guest: &'a [u8]) -> Self {
        Self { guest, transcripts: None }
    }
}
