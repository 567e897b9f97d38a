//! The header of a places file: its lengths and its checksum.
//!
//! Owns the validation of both. Knows nothing about the columns behind it. Bounds: reads 32 bytes, then the body once for
//! the checksum; allocates nothing.

use super::error::PlacesError;
use super::format::{MAGIC, VERSION};

/// The lengths that a file declares. In a value of this type they add up to the length of the file.
pub(super) struct Header {
    pub(super) rows: usize,
    pub(super) countries_bytes: usize,
    pub(super) steps_bytes: usize,
    pub(super) names_bytes: usize,
}

impl Header {
    /// Magic and six numbers.
    const BYTES: usize = 8 + 6 * 4;
    /// Bytes per row in the columns of step widths, country, population and kind.
    const ROW_BYTES: u64 = 4;

    /// Splits a file into its header and its body, after validating lengths and checksum.
    pub(super) fn split(file: &[u8]) -> Result<(Self, &[u8]), PlacesError> {
        let (magic, rest) = file.split_first_chunk::<8>().ok_or(PlacesError::NotPlaces)?;
        if magic != MAGIC {
            return Err(PlacesError::NotPlaces);
        }
        let Some((numbers, body)) = rest.split_first_chunk::<{ Self::BYTES - 8 }>() else {
            return Err(PlacesError::Length { expected: Self::BYTES as u64, found: file.len() as u64 });
        };
        let number = |index: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&numbers[4 * index..4 * index + 4]);
            u32::from_le_bytes(bytes)
        };
        if number(0) != VERSION {
            return Err(PlacesError::Version { found: number(0) });
        }
        let header = Self {
            rows: number(1) as usize,
            countries_bytes: number(2) as usize,
            steps_bytes: number(3) as usize,
            names_bytes: number(4) as usize,
        };
        if header.expected_bytes() != file.len() as u64 {
            return Err(header.length_error(file));
        }
        if number(5) != adler32(body) {
            return Err(PlacesError::Checksum);
        }
        Ok((header, body))
    }

    /// Computed in 64 bits, where the sum of 32-bit lengths cannot overflow to a plausible one.
    fn expected_bytes(&self) -> u64 {
        Self::BYTES as u64
            + self.countries_bytes as u64
            + self.steps_bytes as u64
            + self.rows as u64 * Self::ROW_BYTES
            + self.names_bytes as u64
    }

    /// Returns the error of a file that does not have its declared length.
    pub(super) fn length_error(&self, file: &[u8]) -> PlacesError {
        PlacesError::Length { expected: self.expected_bytes(), found: file.len() as u64 }
    }
}

/// Computes the Adler-32 of RFC 1950, which detects any single changed byte.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    /// Largest number of bytes for which neither sum overflows 32 bits, from the sample code of RFC 1950.
    const CHUNK: usize = 5552;
    let (mut low, mut high) = (1, 0);
    for chunk in bytes.chunks(CHUNK) {
        for &byte in chunk {
            low += u32::from(byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    (high << 16) | low
}
