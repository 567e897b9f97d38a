//! One signature: four lines of text, as minisign writes them.
//!
//! ```text
//! untrusted comment: anything
//! base64 of: "ED", identifier of the key, signature over the BLAKE2b-512 hash of the file
//! trusted comment: what the signer says of the file
//! base64 of: signature over the signature above and the trusted comment
//! ```
//!
//! Bounds: [`COMMENT_BYTES_MAX`] for a comment.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use blake2::{Blake2b512, Digest};

use crate::key_id::KeyId;
use crate::public_key::{COMMENT, PublicKey};

/// Signature of a guest by one key. It is worth nothing until it is verified.
///
/// Displayed as the text of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub(crate) key: KeyId,
    pub(crate) signature: [u8; 64],
    pub(crate) comment: String,
    pub(crate) comment_signature: [u8; 64],
}

impl Signature {
    /// Returns the identifier of the key that it names.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Returns what the signer says of the guest. Signed with it, so true to what the signer said once the signature is verified.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Returns whether this key made it over a guest with this hash.
    pub(crate) fn is_by(&self, key: &PublicKey, hash: &GuestHash) -> bool {
        self.key == key.id
            && key.verifies(&hash.0, &self.signature)
            && key.verifies(&signed_comment(&self.signature, &self.comment), &self.comment_signature)
    }

    /// Parses four lines.
    pub(crate) fn parse(lines: [&str; 4]) -> Option<Self> {
        let [untrusted, signature, comment, comment_signature] = lines;
        let comment = comment.strip_prefix(TRUSTED_COMMENT)?;
        if !untrusted.starts_with(COMMENT) || comment.len() > COMMENT_BYTES_MAX {
            return None;
        }
        let signature: [u8; 74] = BASE64_STANDARD.decode(signature).ok()?.try_into().ok()?;
        let (algorithm, rest) = signature.split_at(2);
        let (key, signature) = rest.split_at(8);
        if algorithm != ALGORITHM {
            return None;
        }
        Some(Self {
            key: KeyId(key.try_into().ok()?),
            signature: signature.try_into().ok()?,
            comment: comment.into(),
            comment_signature: BASE64_STANDARD.decode(comment_signature).ok()?.try_into().ok()?,
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = [ALGORITHM.as_slice(), &self.key.0, &self.signature].concat();
        writeln!(f, "{COMMENT}signature of a guest of herd by key {}", self.key)?;
        writeln!(f, "{}", BASE64_STANDARD.encode(signature))?;
        writeln!(f, "{TRUSTED_COMMENT}{}", self.comment)?;
        writeln!(f, "{}", BASE64_STANDARD.encode(self.comment_signature))
    }
}

/// Hash of a guest that signatures are made over.
pub(crate) struct GuestHash(pub(crate) [u8; 64]);

impl GuestHash {
    /// Hashes a guest: some 100 ms for the largest.
    pub(crate) fn of(guest: &[u8]) -> Self {
        Self(Blake2b512::digest(guest).into())
    }
}

/// Returns what the second signature is made over.
pub(crate) fn signed_comment(signature: &[u8; 64], comment: &str) -> Vec<u8> {
    [signature.as_slice(), comment.as_bytes()].concat()
}

/// Ed25519 over the hash of the file. The older kind, over the file itself, has `Ed` here, and is not read: one way to sign is enough.
const ALGORITHM: &[u8; 2] = b"ED";
const TRUSTED_COMMENT: &str = "trusted comment: ";
/// Longest comment, in bytes. A time and the name of a file take less than half.
pub(crate) const COMMENT_BYTES_MAX: usize = 512;
