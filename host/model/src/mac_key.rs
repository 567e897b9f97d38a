//! Keyed digests (HMAC-SHA-256), which prove that the holder of a key wrote a text.
//!
//! Knows nothing about files and randomness: the owner makes the key and keeps it. It stands beside the digest because
//! `hmac` adds a feature to a crate that the compiler of wasm shares; asked for in a crate of which not every build of that
//! compiler is a part, it would be built twice.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Key of a MAC, 32 bytes.
///
/// ```
/// use herd_model::MacKey;
///
/// let key = MacKey::new([7; 32]);
/// let mac = key.mac(b"text");
/// assert!(key.verifies(b"text", &mac) && !key.verifies(b"test", &mac));
/// assert!(!MacKey::new([8; 32]).verifies(b"text", &mac));
/// assert_eq!(MacKey::from_digits(&key.digits()).unwrap().mac(b"text"), mac);
/// ```
#[derive(Clone)]
pub struct MacKey([u8; 32]);

impl MacKey {
    /// Takes a key, which must be random.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a key from 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_digits(digits: &str) -> Option<Self> {
        decode_hex(digits).map(Self)
    }

    /// Returns the key in 64 hexadecimal digits. They are the secret.
    #[must_use]
    pub fn digits(&self) -> String {
        encode_hex(&self.0)
    }

    /// Returns the MAC of a text, in 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn mac(&self, text: &[u8]) -> String {
        encode_hex(&self.mac_of(&[text]))
    }

    /// Returns the MAC of these parts, one behind the other, as bytes.
    #[must_use]
    pub fn mac_of(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.state_of(parts).finalize().into_bytes().into()
    }

    /// Returns whether these parts have this MAC, in a time that does not depend on where they differ.
    #[must_use]
    pub fn verifies_parts(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.state_of(parts).verify_slice(mac).is_ok()
    }

    /// Returns whether a text has this MAC, in a time that does not depend on where they differ. Upper-case digits are
    /// refused, so that a text has one MAC only.
    #[must_use]
    pub fn verifies(&self, text: &[u8], mac: &str) -> bool {
        decode_hex(mac).is_some_and(|bytes| self.verifies_parts(&[text], &bytes))
    }

    fn state_of(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // HMAC takes a key of any length, so this cannot fail.
        let state = Hmac::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!("HMAC refused a key of 32 bytes"));
        parts.iter().fold(state, |state, part| state.chain_update(part))
    }
}

/// Does not show the key.
impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode_hex(digits: &str) -> Option<[u8; 32]> {
    let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    if digits.len() != 64 || !digits.bytes().all(is_hex) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[place..place + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_key_computes_hmac_sha_256() {
        // Test case 2 of RFC 4231, whose key `Jefe` HMAC pads with zeros to the block.
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(b"Jefe");
        let key = MacKey::new(bytes);
        let mac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(key.mac(b"what do ya want for nothing?"), mac);
        assert!(!key.verifies(b"what do ya want for nothing?", &mac.to_uppercase()));
        assert_eq!(format!("{key:?}"), "MacKey(..)");
    }
}
