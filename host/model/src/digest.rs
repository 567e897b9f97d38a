//! SHA-256 digests. A digest identifies a guest by its bytes, and chains each line of the audit log to the line before.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
///
/// Displayed, parsed and serialized to readable formats as 64 hexadecimal digits; binary formats get the 32 bytes.
///
/// # Examples
///
/// ```
/// use herd_model::Digest;
///
/// let digest = Digest::of(b"guest");
/// assert_eq!(digest.short(), "84983c60");
/// assert_eq!(digest.to_string().parse(), Ok(digest));
/// assert!("84983c60".parse::<Digest>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// All zeros: the predecessor of the first line of a hash chain. No input with this digest is known.
    pub const ZERO: Self = Self([0; 32]);

    /// Computes the digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the first 8 digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..8].to_string()
    }
}

/// Digest of bytes that arrive in parts, so that no part of a program hashes many at once.
///
/// ```
/// use herd_model::{Digest, Digester};
///
/// let mut digester = Digester::default();
/// digester.add(b"gue");
/// digester.add(b"st");
/// assert_eq!(digester.finish(), Digest::of(b"guest"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// Adds the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest of all bytes added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

/// Parses 64 hexadecimal digits, of either case.
impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(BadDigest);
        }
        for (byte, position) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[position..position + 2], 16).map_err(|_| BadDigest)?;
        }
        Ok(Self(bytes))
    }
}

/// A text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 64 hexadecimal digits")]
pub struct BadDigest;

/// Digits in readable formats, 32 bytes in binary ones.
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            Deserialize::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_round_trips_as_hexadecimal_digits_and_as_bytes() {
        let digest = Digest::of(b"guest");
        let digits = serde_json::to_string(&digest).unwrap();
        assert_eq!(digits, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&digits).unwrap(), digest);
        let bytes = postcard::to_stdvec(&digest).unwrap();
        assert_eq!((bytes.len(), postcard::from_bytes::<Digest>(&bytes).unwrap()), (32, digest));
        for text in ["", "1a2b", &"g".repeat(64), &"0".repeat(65)] {
            assert_eq!(text.parse::<Digest>(), Err(BadDigest), "{text}");
        }
    }
}
