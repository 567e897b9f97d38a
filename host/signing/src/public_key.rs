//! Public keys, as minisign writes them: a line of base64, in a file below a comment.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::key_id::KeyId;

/// Public key.
///
/// ```
/// use herd_signing::PublicKey;
///
/// let key: PublicKey = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".parse()?;
/// assert_eq!(key.id().to_string(), "E7620F1842B4E81F");
/// # Ok::<(), herd_signing::BadPublicKey>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub(crate) id: KeyId,
    pub(crate) key: [u8; 32],
}

impl PublicKey {
    /// Returns its identifier.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns whether two keys verify the same signatures, whatever their identifiers say.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Returns the text of its file, which the tools of minisign read.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{COMMENT}minisign public key {}\n{self}\n", self.id)
    }

    /// Returns whether a signature over these bytes was made with this key.
    pub(crate) fn verifies(&self, signed: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.key).verify(signed, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [ALGORITHM.as_slice(), &self.id.0, &self.key].concat();
        f.write_str(&BASE64_STANDARD.encode(bytes))
    }
}

/// Parses the line of base64, or a whole file.
impl FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, BadPublicKey> {
        let line = match text.trim().split_once('\n') {
            Some((comment, line)) if comment.starts_with(COMMENT) => line.trim(),
            Some(_) => return Err(BadPublicKey),
            None => text.trim(),
        };
        let bytes = BASE64_STANDARD.decode(line).map_err(|_| BadPublicKey)?;
        let bytes: [u8; 42] = bytes.try_into().map_err(|_| BadPublicKey)?;
        let (algorithm, rest) = bytes.split_at(2);
        let (id, key) = rest.split_at(8);
        match (algorithm == ALGORITHM, id.try_into(), key.try_into()) {
            (true, Ok(id), Ok(key)) => Ok(Self { id: KeyId(id), key }),
            _ => Err(BadPublicKey),
        }
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no public key of minisign; write the line of its file that begins with RW (herd keygen makes one)")]
pub struct BadPublicKey;

/// Ed25519.
pub(crate) const ALGORITHM: &[u8; 2] = b"Ed";
/// Begin of the first line of each file.
pub(crate) const COMMENT: &str = "untrusted comment: ";

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "RWR6nD7CgSTg0YJLIrPSICONQ1nB9BMI1ghzkJ4N+bPsYRaMxC6CMymv";

    #[test]
    fn public_key_is_read_from_its_line_and_from_a_file_of_minisign() {
        let key: PublicKey = LINE.parse().unwrap();
        assert_eq!((key.to_string(), key.id().to_string()), (LINE.into(), "D1E02481C23E9C7A".into()));
        assert_eq!(key.file(), format!("untrusted comment: minisign public key D1E02481C23E9C7A\n{LINE}\n"));
        assert_eq!(key.file().parse(), Ok(key));
        assert_eq!(format!(" {LINE}\r\n").parse(), Ok(key));
    }

    #[test]
    fn public_key_of_another_kind_is_refused() {
        let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9j";
        for text in ["", "RWQ", ssh, &LINE[1..], &format!("x\n{LINE}"), &LINE.replace("RWR", "RUR")] {
            assert_eq!(text.parse::<PublicKey>(), Err(BadPublicKey), "{text}");
        }
    }
}
