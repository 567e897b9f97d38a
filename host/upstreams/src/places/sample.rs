//! Writer of small places files for tests, in the format of `host/upstreams/data/build_places.py`.

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::kind::PlaceKind;

/// The parts of a file. A test may change any of them before the file is assembled.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) rows: u32,
    pub(super) country_table: Vec<u8>,
    pub(super) widths: Vec<u8>,
    pub(super) steps: Vec<u8>,
    pub(super) countries: Vec<u8>,
    pub(super) populations: Vec<u8>,
    pub(super) kinds: Vec<u8>,
    pub(super) names: Vec<u8>,
}

impl Sample {
    /// Villages in Fiji, given by name, latitude and longitude in degrees, in any order.
    pub(super) fn of(places: &[(&str, f64, f64)]) -> Self {
        let steps = |degrees: f64| (degrees * 10_000.0).round() as i32;
        let mut rows: Vec<(u64, &str)> =
            places.iter().map(|place| (curve_distance(steps(place.1), steps(place.2)), place.0)).collect();
        rows.sort_unstable();
        let (widths, steps) = curve_steps(rows.iter().map(|row| row.0));
        Self {
            rows: places.len() as u32,
            country_table: b"FJ\tFiji\nKI\tKiribati".to_vec(),
            widths,
            steps,
            countries: vec![0; places.len()],
            populations: vec![104; places.len()],
            kinds: vec![PlaceKind::Village as u8; places.len()],
            names: rows.iter().map(|row| row.1).collect::<Vec<_>>().join("\n").into_bytes(),
        }
    }

    pub(super) fn file(&self) -> Vec<u8> {
        let body = [
            &self.country_table[..],
            &self.widths,
            &self.steps,
            &self.countries,
            &self.populations,
            &self.kind_differences(),
            &self.names,
        ]
        .concat();
        let lengths = [&self.country_table, &self.steps, &self.names].map(|part| part.len() as u32);
        let mut file = b"HERDPLCS".to_vec();
        for number in [2, self.rows, lengths[0], lengths[1], lengths[2], adler32(&body)] {
            file.extend(number.to_le_bytes());
        }
        [file, body].concat()
    }

    /// Kinds less what the populations let expect. One that there is not stays one.
    fn kind_differences(&self) -> Vec<u8> {
        let expected = |code: u8| {
            let population = code.checked_sub(1).map(|steps| 1.07_f64.powf(f64::from(steps)));
            PlaceKind::of_population(population) as u8
        };
        let differences = self.kinds.iter().zip(&self.populations).map(|(&kind, &code)| match kind {
            0..7 => (kind + 7 - expected(code)) % 7,
            none => none,
        });
        differences.collect()
    }

    pub(super) fn packed(&self) -> Vec<u8> {
        compress_to_vec(&self.file()[..], CompressionLevel::Fastest)
    }
}

/// Returns the widths and the bits of the steps between distances along the curve.
pub(super) fn curve_steps(distances: impl Iterator<Item = u64>) -> (Vec<u8>, Vec<u8>) {
    let (mut widths, mut steps) = (Vec::new(), Vec::new());
    let (mut before, mut written) = (0, 0);
    for distance in distances {
        let step: u64 = distance - before;
        before = distance;
        let width = 64 - step.leading_zeros();
        widths.push(width as u8);
        for bit in 0..width.saturating_sub(1) {
            if written % 8 == 0 {
                steps.push(0);
            }
            *steps.last_mut().unwrap() |= u8::from((step >> bit) & 1 == 1) << (written % 8);
            written += 1;
        }
    }
    (widths, steps)
}

/// Returns the distance along the curve of a latitude and a longitude in steps, as `build_places.py` computes it.
pub(super) fn curve_distance(latitude: i32, longitude: i32) -> u64 {
    let (mut x, mut y) = (longitude + 1_800_000, latitude + 900_000);
    let mut distance = 0;
    for level in (0..22).rev() {
        let (right, upper) = ((x >> level) & 1 == 1, (y >> level) & 1 == 1);
        distance += (1_u64 << (2 * level)) * ((3 * u64::from(right)) ^ u64::from(upper));
        if !upper {
            if right {
                (x, y) = (!x, !y);
            }
            (x, y) = (y, x);
        }
    }
    distance
}

/// Adler-32 by its definition, one byte at a time.
fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1, 0), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high * 65_536 + low
}
