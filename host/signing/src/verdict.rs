//! Verdicts on the signatures of a guest.

use serde::Serialize;

use crate::expiry::Expiry;
use crate::key_id::KeyId;

/// Verdict on one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureVerdict {
    /// Key that the signature names.
    pub key: KeyId,
    /// Name of the trusted key with that identifier.
    pub name: Option<String>,
    /// Comment of the signer on the guest. `None` unless it is verified.
    pub comment: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Verdict on a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A trusted key made it over this guest.
    Valid,
    /// A trusted key made it over this guest, and the key has expired.
    Expired(Expiry),
    /// It is not over this guest, or was not made by the key that it names: one of the two was changed.
    Invalid,
    /// No trusted key has the identifier that it names.
    Unknown,
}

impl Verdict {
    /// Returns the word for it, for JSON and tables.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired(_) => "expired",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        }
    }
}

/// Its word.
impl Serialize for Verdict {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
