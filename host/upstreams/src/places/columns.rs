//! Decoder of a places file, and its rows as columns.
//!
//! Owns the format, which `host/upstreams/data/build_places.py` writes and describes: a header with all lengths and a
//! checksum, then one column after the other, compressed as one zstd frame. Knows nothing about distances between places.
//!
//! Bounds: at most [`UNPACKED_BYTES_MAX`] bytes are unpacked, whatever the frame declares, and no column is allocated
//! before the lengths in the header are known to add up to the length of the file.

use std::array;
use std::io::{self, Read};

use ruzstd::decoding::StreamingDecoder;

use super::curve;
use super::error::PlacesError;
use super::format::UNPACKED_BYTES_MAX;
use super::header::Header;
use super::kind::PlaceKind;

/// Unit of coordinates, which are stored as whole multiples of 1e-4 degree.
const STEPS_PER_DEGREE: i32 = 10_000;

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
        let widths = cut(header.rows)?;
        let (latitudes, longitudes) = decode_positions(widths, cut(header.steps_bytes)?)?;
        let countries = cut(header.rows)?.to_vec();
        if let Some(&found) = countries.iter().find(|&&index| usize::from(index) >= country_table.len()) {
            return Err(PlacesError::Country { found });
        }
        let populations = cut(header.rows)?.to_vec();
        let kinds = decode_kinds(cut(header.rows)?, &populations)?;
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
        let population = population_of(self.populations[row])?;
        let last_digit = 10_f64.powi((population.log10().floor() as i32 - 2).max(0));
        // The largest code gives 29 million.
        Some(((population / last_digit).round() * last_digit) as u32)
    }
}

/// Returns the population that a code stands for. None if it is unknown.
fn population_of(code: u8) -> Option<f64> {
    Some(POPULATION_STEP.powi(i32::from(code.checked_sub(1)?)))
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

/// Decodes latitudes and longitudes, in steps. Each row is stored as its distance from the one before along the curve: how many bits that
/// has, and those below the highest.
fn decode_positions(widths: &[u8], steps: &[u8]) -> Result<(Vec<i32>, Vec<i32>), PlacesError> {
    let (mut latitudes, mut longitudes) = (Vec::with_capacity(widths.len()), Vec::with_capacity(widths.len()));
    let (mut distance, mut at) = (0, 0);
    for &width in widths {
        if u32::from(width) > curve::BITS {
            return Err(PlacesError::Coordinate);
        }
        if let Some(bits) = width.checked_sub(1) {
            distance += (1 << bits) | take_bits(steps, at, bits).ok_or(PlacesError::Coordinate)?;
            at += usize::from(bits);
        }
        let (latitude, longitude) = curve::position(distance).ok_or(PlacesError::Coordinate)?;
        latitudes.push(latitude);
        longitudes.push(longitude);
    }
    if at.div_ceil(8) != steps.len() {
        return Err(PlacesError::CoordinatesLeft);
    }
    Ok((latitudes, longitudes))
}

/// Returns this many bits from bit `at` on, at most 56, the lowest first. None if the bytes end before.
fn take_bits(bytes: &[u8], at: usize, bits: u8) -> Option<u64> {
    let rest = bytes.get(at / 8..)?;
    if (rest.len() * 8) < at % 8 + usize::from(bits) {
        return None;
    }
    let mut window = [0; 8];
    let there = rest.len().min(window.len());
    window[..there].copy_from_slice(&rest[..there]);
    Some((u64::from_le_bytes(window) >> (at % 8)) & ((1 << bits) - 1))
}

/// Decodes the kinds, of which each is stored as its difference to what the population lets expect.
fn decode_kinds(differences: &[u8], populations: &[u8]) -> Result<Vec<PlaceKind>, PlacesError> {
    let expected: [usize; 256] = array::from_fn(|code| PlaceKind::of_population(population_of(code as u8)) as usize);
    let decode = |(&difference, &code): (&u8, &u8)| match usize::from(difference) {
        found if found < PlaceKind::ALL.len() => {
            Ok(PlaceKind::ALL[(expected[usize::from(code)] + found) % PlaceKind::ALL.len()])
        }
        _ => Err(PlacesError::Kind { found: difference }),
    };
    differences.iter().zip(populations).map(decode).collect()
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
