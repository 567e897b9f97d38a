//! The header of a places file: its lengths and its checksum.

use super::error::PlacesError;
use super::format::{MAGIC, VERSION};

/// The lengths a file declares. In a value of this type they add up to the bytes that are there.
pub(super) struct Header {
    pub(super) rows: usize,
    pub(super) countries_bytes: usize,
    pub(super) coordinates_bytes: usize,
    pub(super) names_bytes: usize,
}

impl Header {
    /// Magic and six numbers.
    const BYTES: usize = 8 + 6 * 4;
    /// Bytes a row takes in the columns of country, population and kind.
    const ROW_BYTES: u64 = 3;

    /// Splits a file into its header and, once that has been checked against it, its body.
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
            coordinates_bytes: number(3) as usize,
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

    fn expected_bytes(&self) -> u64 {
        Self::BYTES as u64
            + self.countries_bytes as u64
            + self.coordinates_bytes as u64
            + self.rows as u64 * Self::ROW_BYTES
            + self.names_bytes as u64
    }

    pub(super) fn length_error(&self, file: &[u8]) -> PlacesError {
        PlacesError::Length { expected: self.expected_bytes(), found: file.len() as u64 }
    }
}

/// Computes the Adler-32 of RFC 1950, which finds any one changed byte.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    /// The most bytes for which neither sum overflows 32 bits, by RFC 1950's sample code.
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
