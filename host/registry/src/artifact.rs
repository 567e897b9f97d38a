//! A guest as a registry has it.

use herd_model::GuestFiles;

/// A guest that was pulled, with what travelled along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Bytes of the component.
    pub guest: Vec<u8>,
    /// Signatures of the guest, as in the file beside it. None of them is verified here.
    pub signatures: Option<Vec<u8>>,
    /// JSON object of names and texts of transcripts.
    pub transcripts: Option<Vec<u8>>,
}

impl Artifact {
    /// Borrows the files.
    #[must_use]
    pub fn files(&self) -> GuestFiles<'_> {
        GuestFiles {
            guest: &self.guest,
            transcripts: self.transcripts.as_deref(),
            signatures: self.signatures.as_deref(),
        }
    }
}

/// Interfaces of a component, which the configuration of the artifact lists for tools that show them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// Imported interfaces, with versions.
    pub imports: Vec<String>,
    /// Exported interfaces, with versions.
    pub exports: Vec<String>,
}
