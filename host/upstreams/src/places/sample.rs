//! Writer of small places files for tests, in the format of `host/upstreams/data/build_places.py`.

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// The parts of a file. A test may change any of them before the file is assembled.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) rows: u32,
    pub(super) country_table: Vec<u8>,
    pub(super) coordinates: Vec<u8>,
    pub(super) countries: Vec<u8>,
    pub(super) populations: Vec<u8>,
    pub(super) kinds: Vec<u8>,
    pub(super) names: Vec<u8>,
}

impl Sample {
    /// Villages in Fiji, given by name, latitude and longitude in degrees.
    pub(super) fn of(places: &[(&str, f64, f64)]) -> Self {
        let steps = |degrees: f64| (degrees * 10_000.0).round() as i32;
        let latitudes = places.iter().map(|place| steps(place.1));
        let longitudes = places.iter().map(|place| steps(place.2));
        Self {
            rows: places.len() as u32,
            country_table: b"FJ\tFiji\nKI\tKiribati".to_vec(),
            coordinates: [deltas(latitudes), deltas(longitudes)].concat(),
            countries: vec![0; places.len()],
            populations: vec![104; places.len()],
            kinds: vec![3; places.len()],
            names: places.iter().map(|place| place.0).collect::<Vec<_>>().join("\n").into_bytes(),
        }
    }

    pub(super) fn file(&self) -> Vec<u8> {
        let body =
            [&self.country_table[..], &self.coordinates, &self.countries, &self.populations, &self.kinds, &self.names]
                .concat();
        let lengths = [&self.country_table, &self.coordinates, &self.names].map(|part| part.len() as u32);
        let mut file = b"HERDPLCS".to_vec();
        for number in [1, self.rows, lengths[0], lengths[1], lengths[2], adler32(&body)] {
            file.extend(number.to_le_bytes());
        }
        [file, body].concat()
    }

    pub(super) fn packed(&self) -> Vec<u8> {
        compress_to_vec(&self.file()[..], CompressionLevel::Fastest)
    }
}

pub(super) fn deltas(values: impl Iterator<Item = i32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut before = 0;
    for value in values {
        let delta = value - before;
        let mut zigzag = ((delta << 1) ^ (delta >> 31)) as u32;
        before = value;
        while zigzag >= 0x80 {
            bytes.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        bytes.push(zigzag as u8);
    }
    bytes
}

/// Adler-32 by its definition, one byte at a time.
fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1, 0), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high * 65_536 + low
}
