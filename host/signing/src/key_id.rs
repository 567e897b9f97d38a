//! Identifiers of keys.

use std::fmt;

use serde::{Serialize, Serializer};

/// Identifier of a key, which its maker drew at random. Signatures name their key by it.
///
/// It identifies a key among those that somebody trusts, and proves nothing: anybody can make a key with the identifier of another.
/// Displayed as minisign shows it, 16 hexadecimal digits.
///
/// ```
/// use herd_signing::KeyId;
///
/// assert_eq!(KeyId([0x7a, 0x9c, 0x3e, 0xc2, 0x81, 0x24, 0xe0, 0xd1]).to_string(), "D1E02481C23E9C7A");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

/// A number whose lowest byte comes first.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
