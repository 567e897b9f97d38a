//! Guests that may run on a node: stage *parsed*.
//!
//! A generation is made of an [`AcceptedGuest`] only, so none is loaded on any way into a node without the question who answers for it.
//! Knows nothing of keys, which are the matter of the [`SignaturePolicy`]. Bounds: the size of a guest, which is hashed once.

use herd_model::GuestFiles;
use herd_signing::{NotAccepted, Provenance, SignaturePolicy};
use herd_sys::clock::unix_now;

use crate::engine::file_kind::check_file;
use crate::engine::inspect::{LoadError, Stage};

/// A file that is a component, and who answers for it.
pub(crate) struct AcceptedGuest<'a> {
    files: GuestFiles<'a>,
    provenance: Provenance,
}

impl<'a> AcceptedGuest<'a> {
    /// Judges a guest that is new to the node: a candidate, however it came.
    ///
    /// # Errors
    ///
    /// The file is no component, or has not the signatures that the node requires, by keys that have not expired.
    pub(crate) fn of_candidate(policy: &SignaturePolicy, files: GuestFiles<'a>) -> Result<Self, LoadError> {
        Self::judge(files, || policy.accept(files, unix_now()))
    }

    /// Judges a guest with which the node starts: that of its configuration, or one that served before.
    ///
    /// # Errors
    ///
    /// The file is no component, or has not the signatures that the node requires. Keys that have expired since count.
    pub(crate) fn at_start(policy: &SignaturePolicy, files: GuestFiles<'a>) -> Result<Self, LoadError> {
        Self::judge(files, || policy.recognize(files, unix_now()))
    }

    /// Takes a guest that somebody runs by hand, outside a node.
    ///
    /// # Errors
    ///
    /// The file is no component.
    pub(crate) fn by_hand(guest: &'a [u8]) -> Result<Self, LoadError> {
        Self::judge(guest.into(), || Ok(Provenance::NotRequired))
    }

    fn judge(
        files: GuestFiles<'a>,
        accept: impl FnOnce() -> Result<Provenance, NotAccepted>,
    ) -> Result<Self, LoadError> {
        // First, because what is no component needs no signature but another build.
        check_file(files.guest)?;
        let provenance = accept().map_err(|why| LoadError { stage: Stage::Parsed, reason: why.to_string() })?;
        Ok(Self { files, provenance })
    }

    /// Returns the bytes of the component.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.files.guest
    }

    /// Returns who answers for it.
    pub(crate) fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}
