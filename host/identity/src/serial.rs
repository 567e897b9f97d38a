//! Serial number of a certificate, by which it is revoked.
//!
//! Bound: [`BYTES_MAX`], as X.509 has it.

use std::fmt;

/// Serial number as its certificate has it: the bytes of a big-endian integer. Displayed in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// Draws 126 random bits. Serials are not guessed, and do not tell how many certificates there are.
    pub(crate) fn random() -> Self {
        // The first bits are 01: positive, and never shortened, so that every serial has the same length.
        let random = rand::random::<u128>() >> 2 | 1 << 126;
        Self(random.to_be_bytes().to_vec())
    }

    /// Takes the bytes of a certificate or a revocation list; `None` if there are none, or too many.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (1..=BYTES_MAX).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// Reads what `Display` wrote.
    pub(crate) fn from_hex(digits: &str) -> Option<Self> {
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        if !rest.is_empty() || pairs.len() > BYTES_MAX {
            return None;
        }
        Self::from_bytes(&pairs.iter().map(byte).collect::<Option<Vec<u8>>>()?)
    }

    /// Returns the bytes of the integer.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the first 8 digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// RFC 5280, 4.1.2.2. A byte more, for the zero before a high bit.
const BYTES_MAX: usize = 21;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_is_random_and_survives_its_digits() {
        let serials: std::collections::BTreeSet<Serial> = (0..1_000).map(|_| Serial::random()).collect();
        assert_eq!(serials.len(), 1_000);
        for serial in &serials {
            assert_eq!((serial.as_bytes().len(), serial.as_bytes()[0] >> 6), (16, 1));
            assert_eq!(Serial::from_hex(&serial.to_string()).as_ref(), Some(serial));
        }
        for digits in ["", "1", "xy", "é", &"00".repeat(22)] {
            assert_eq!(Serial::from_hex(digits), None, "{digits}");
        }
    }
}
