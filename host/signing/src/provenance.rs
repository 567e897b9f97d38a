//! Who answers for a guest that a node accepted.

use std::time::Duration;

use serde::Serialize;

use crate::expiry::Expiry;
use crate::key_id::KeyId;

/// Reason for which a node accepted a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Provenance {
    /// The node requires no signatures and verified none.
    #[default]
    NotRequired,
    /// It is the guest inside the program, and trusted as the program is.
    BuiltIn,
    /// Enough keys signed it. Holds all that did.
    Signed(Vec<Signer>),
}

/// Trusted key that signed a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Name of the key.
    pub name: String,
    /// The key.
    pub key: KeyId,
    /// Its end.
    pub expires: Option<Expiry>,
}

/// Provenance of a guest, as `herd status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProvenanceStatus {
    /// True for the guest inside the program.
    pub built_in: bool,
    /// Keys that signed it.
    pub signed_by: Vec<SignerStatus>,
}

/// Key that signed a guest, as `herd status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignerStatus {
    /// Name of the key.
    pub name: String,
    /// Identifier of the key.
    pub key: KeyId,
    /// Its end.
    pub expires: Option<String>,
    /// True if that has passed. The guest serves on.
    pub expired: bool,
}

impl Provenance {
    /// Returns the keys that signed it.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        if let Self::Signed(signers) = self { signers } else { &[] }
    }

    /// Returns the status at a time since the Unix epoch. `None` if the node requires no signatures.
    #[must_use]
    pub fn status(&self, now: Duration) -> Option<ProvenanceStatus> {
        let signed_by = self.signers().iter().map(|signer| SignerStatus {
            name: signer.name.clone(),
            key: signer.key,
            expires: signer.expires.map(|expiry| expiry.to_string()),
            expired: signer.expires.is_some_and(|expiry| expiry.is_over(now)),
        });
        match self {
            Self::NotRequired => None,
            Self::BuiltIn | Self::Signed(_) => {
                Some(ProvenanceStatus { built_in: *self == Self::BuiltIn, signed_by: signed_by.collect() })
            }
        }
    }
}

/// Completes a sentence about a guest: `signed by release (D1E02481C23E9C7A)`.
impl std::fmt::Display for Provenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRequired => f.write_str("signatures are not required here"),
            Self::BuiltIn => f.write_str("built into the program"),
            Self::Signed(signers) => {
                let signers: Vec<String> =
                    signers.iter().map(|signer| format!("{} ({})", signer.name, signer.key)).collect();
                write!(f, "signed by {}", signers.join(", "))
            }
        }
    }
}
