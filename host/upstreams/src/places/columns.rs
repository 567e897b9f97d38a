//! Decoder of a places file, and its rows as columns.
//!
//! Owns the format, which `host/upstreams/data/build_places.py` writes and describes: a header with all lengths and a
//! checksum, then one column after the other, compressed as one zstd frame. Knows nothing about distances.
//!
//! Bounds: at most [`UNPACKED_BYTES_MAX`] bytes are unpacked, whatever the frame declares, and no column is allocated
//! before the lengths in the header are known to add up to the length of the file.

use std::io::{self, Read};

use ruzstd::decoding::StreamingDecoder;

use super::error::PlacesError;
use super::format::UNPACKED_BYTES_MAX;
use super::header::Header;
use super::kind::PlaceKind;

/// Unit of coordinates, which are stored as whole multiples of 1e-4 degree.
const STEPS_PER_DEGREE: i32 = 10_000;
const LATITUDE_STEPS_MAX: i32 = 90 * STEPS_PER_DEGREE;
const LONGITUDE_STEPS_MAX: i32 = 180 * STEPS_PER_DEGREE;

/// Ratio of the populations of two consecutive codes.
const POPULATION_STEP: f64 = 1.07;

/// The rows of a places file, one vector per column, all of the same length.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Columns {
    latitudes: Vec<i32>,
    longitudes: Vec<i32>,
    /// Indexes into `country_table`, in bounds since decoding.
    countries: Vec<u8>,
    country_table: Vec<(String, String)>,
    populations: Vec<u8>,
    kinds: Vec<PlaceKind>,
    /// All names in one buffer, separated by newlines. A `String` per name would triple the memory.
    names: String,
    /// End of each name in `names`.
    name_ends: Vec<u32>,
}

impl Columns {
    /// Decodes a compressed places file.
    ///
    /// # Errors
    ///
    /// See [`PlacesError`].
    pub(super) fn unpack(packed: &[u8]) -> Result<Self, PlacesError> {
        Self::decode(&inflate(packed)?)
    }

    fn decode(file: &[u8]) -> Result<Self, PlacesError> {
        let (header, mut body) = Header::split(file)?;
        let mut cut = |bytes: usize| body.split_off(..bytes).ok_or_else(|| header.length_error(file));
        let country_table = decode_countries(cut(header.countries_bytes)?)?;
        let mut coordinates = cut(header.coordinates_bytes)?;
        let latitudes = decode_deltas(&mut coordinates, header.rows, LATITUDE_STEPS_MAX)?;
        let longitudes = decode_deltas(&mut coordinates, header.rows, LONGITUDE_STEPS_MAX)?;
        if !coordinates.is_empty() {
            return Err(PlacesError::CoordinatesLeft);
        }
        let countries = cut(header.rows)?.to_vec();
        if let Some(&found) = countries.iter().find(|&&index| usize::from(index) >= country_table.len()) {
            return Err(PlacesError::Country { found });
        }
        let populations = cut(header.rows)?.to_vec();
        let kinds = cut(header.rows)?.iter().map(|&byte| decode_kind(byte)).collect::<Result<_, _>>()?;
        let names = str::from_utf8(cut(header.names_bytes)?).map_err(|_| PlacesError::NotText)?.to_owned();
        let name_ends = find_name_ends(&names, header.rows)?;
        Ok(Self { latitudes, longitudes, countries, country_table, populations, kinds, names, name_ends })
    }

    /// Adds the rows of another file.
    ///
    /// # Errors
    ///
    /// [`PlacesError::OtherCountries`]: the two were not written together.
    pub(super) fn append(&mut self, other: Self) -> Result<(), PlacesError> {
        if self.len() == 0 {
            *self = other;
            return Ok(());
        }
        if other.country_table != self.country_table {
            return Err(PlacesError::OtherCountries);
        }
        if other.len() > 0 {
            self.names.push('\n');
            // The names of a file are at most 16 MiB, so those of all files fit in 32 bits.
            let start = self.names.len() as u32;
            self.names.push_str(&other.names);
            self.name_ends.extend(other.name_ends.iter().map(|end| start + end));
        }
        self.latitudes.extend(other.latitudes);
        self.longitudes.extend(other.longitudes);
        self.countries.extend(other.countries);
        self.populations.extend(other.populations);
        self.kinds.extend(other.kinds);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.name_ends.len()
    }

    /// Returns latitude and longitude in degrees.
    pub(super) fn position(&self, row: usize) -> (f64, f64) {
        let degrees = |steps: i32| f64::from(steps) / f64::from(STEPS_PER_DEGREE);
        (degrees(self.latitudes[row]), degrees(self.longitudes[row]))
    }

    pub(super) fn name(&self, row: usize) -> &str {
        let start = match row {
            0 => 0,
            _ => self.name_ends[row - 1] as usize + 1,
        };
        &self.names[start..self.name_ends[row] as usize]
    }

    /// Returns the ISO code and the name of the country of a row.
    pub(super) fn country(&self, row: usize) -> (&str, &str) {
        let (code, name) = &self.country_table[usize::from(self.countries[row])];
        (code, name)
    }

    pub(super) fn kind(&self, row: usize) -> PlaceKind {
        self.kinds[row]
    }

    /// Returns the population that the code of a row stands for, within half a step of 7 %, in three significant digits.
    pub(super) fn population_approx(&self, row: usize) -> Option<u32> {
        let steps = self.populations[row].checked_sub(1)?;
        let population = POPULATION_STEP.powi(i32::from(steps));
        let last_digit = 10_f64.powi((population.log10().floor() as i32 - 2).max(0));
        // The largest code gives 29 million.
        Some(((population / last_digit).round() * last_digit) as u32)
    }
}

fn inflate(packed: &[u8]) -> Result<Vec<u8>, PlacesError> {
    let decoder = StreamingDecoder::new_with_max_window_size(packed, UNPACKED_BYTES_MAX)
        .map_err(|error| PlacesError::Unpack(io::Error::other(error)))?;
    // One byte beyond the limit tells a file that is too large from one that just fits.
    let mut limited = decoder.take(UNPACKED_BYTES_MAX + 1);
    let mut file = Vec::new();
    limited.read_to_end(&mut file).map_err(PlacesError::Unpack)?;
    if file.len() as u64 > UNPACKED_BYTES_MAX {
        return Err(PlacesError::TooLarge);
    }
    match limited.into_inner().into_inner() {
        [] => Ok(file),
        rest => Err(PlacesError::Trailing { bytes: rest.len() }),
    }
}

fn decode_countries(table: &[u8]) -> Result<Vec<(String, String)>, PlacesError> {
    str::from_utf8(table)
        .map_err(|_| PlacesError::NotText)?
        .lines()
        .map(|line| line.split_once('\t').map(|(code, name)| (code.to_owned(), name.to_owned())))
        .collect::<Option<_>>()
        .ok_or(PlacesError::Countries)
}

/// Takes `rows` values off the front of `bytes`. Each is stored as its difference to the one before.
fn decode_deltas(bytes: &mut &[u8], rows: usize, steps_max: i32) -> Result<Vec<i32>, PlacesError> {
    let mut values = Vec::with_capacity(rows);
    let mut value: i64 = 0;
    for _ in 0..rows {
        // In 64 bits: a sum of 28-bit differences in hostile data could overflow 32 bits before the range check.
        let zigzag = i64::from(take_varint(bytes).ok_or(PlacesError::Coordinate)?);
        value += (zigzag >> 1) ^ -(zigzag & 1);
        match i32::try_from(value) {
            Ok(steps) if (-steps_max..=steps_max).contains(&steps) => values.push(steps),
            _ => return Err(PlacesError::Coordinate),
        }
    }
    Ok(values)
}

/// Takes a LEB128 number off the front of `bytes`. Returns `None` if it is incomplete or exceeds 28 bits.
fn take_varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = bytes.split_off_first()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn decode_kind(byte: u8) -> Result<PlaceKind, PlacesError> {
    PlaceKind::ALL.get(usize::from(byte)).copied().ok_or(PlacesError::Kind { found: byte })
}

fn find_name_ends(names: &str, rows: usize) -> Result<Vec<u32>, PlacesError> {
    let mut ends = Vec::with_capacity(rows);
    if !(rows == 0 && names.is_empty()) {
        // Positions fit in 32 bits, because the header declares the bytes of all names in 32 bits.
        ends.extend(names.bytes().zip(0..).filter(|&(byte, _)| byte == b'\n').map(|(_, position)| position));
        ends.push(names.len() as u32);
    }
    if ends.len() != rows {
        return Err(PlacesError::Names { rows, found: ends.len() });
    }
    Ok(ends)
}

#[cfg(test)]
mod tests;
