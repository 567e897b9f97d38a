//! The places embedded in the binary: settlements and airports of the whole globe.
//!
//! Owns the decoded rows and their spatial index. [`Places::embedded`] creates both, and they never change, so all
//! workers share one reference without a lock. Knows nothing about the protocol, the query format or other sources.
//!
//! Bounds: 16 MB of heap for 263,000 rows, 22 MB while unpacking. The time of a query is proportional to the rows within
//! its radius (5 µs for 50 km, 0.1 ms for 500 km), and it returns at most `limit` rows. The data has settlements and
//! airports but no cafes: an empty answer is normal.

mod columns;
mod curve;
mod error;
mod format;
mod grid;
mod header;
mod kind;

use std::cmp::Ordering;

use self::columns::Columns;
use self::grid::{Grid, Hit};
use self::kind::PlaceKind;

pub(crate) use self::error::PlacesError;

/// Attribution that the licence of the data requires in every answer made from it.
pub(crate) const ATTRIBUTION: &str =
    "Contains data from GeoNames (geonames.org), CC BY 4.0, modified: reduced and rounded";

/// Places files that this build has, written by `host/upstreams/data/build_places.py`.
static PACKED: &[&[u8]] = &[
    #[cfg(feature = "places-settlements")]
    include_bytes!("../../data/settlements.bin.zst"),
    #[cfg(feature = "places-all")]
    include_bytes!("../../data/airports.bin.zst"),
];

/// Decoded and indexed places.
pub(crate) struct Places {
    columns: Columns,
    grid: Grid,
}

/// A place found by [`Places::nearby`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NearbyPlace<'a> {
    /// Name as in the source; that of an airport ends with its IATA or ICAO code in parentheses.
    pub(crate) name: &'a str,
    /// English name of the country.
    pub(crate) country: &'a str,
    /// ISO 3166-1 code of the country, two letters.
    pub(crate) country_code: &'a str,
    /// Size of a settlement, or airport.
    pub(crate) kind: PlaceKind,
    /// Population in three significant digits, within 4 % of the source (so it may cross a bound of `kind`); `None` if
    /// the source has none.
    pub(crate) population_approx: Option<u32>,
    /// Degrees north, rounded to 1e-4 (11 m).
    pub(crate) latitude_degrees: f64,
    /// Degrees east, -180 to 180, rounded to 1e-4.
    pub(crate) longitude_degrees: f64,
    /// Great-circle distance from the centre of the query in metres, rounded to a millimetre.
    pub(crate) distance_m: f64,
}

impl Places {
    /// Returns whether the binary has places. A build without the features for them has none.
    pub(crate) fn are_embedded() -> bool {
        !PACKED.is_empty()
    }

    /// Unpacks and indexes the data in the binary.
    ///
    /// Uses a processor for about 140 ms: call it once, off the worker threads.
    ///
    /// # Errors
    ///
    /// The data file was damaged before the binary was built. Nothing is kept.
    pub(crate) fn embedded() -> Result<Self, PlacesError> {
        Self::unpack(PACKED)
    }

    /// Returns at most `limit` places within `radius_m` metres, nearest first.
    ///
    /// Places at the same distance are ordered by name, so that every node gives the same answer. The answer is empty for
    /// a latitude beyond 90 degrees, a longitude beyond 180, a negative radius or NaN; an infinite radius covers all
    /// places.
    pub(crate) fn nearby(
        &self,
        latitude_degrees: f64,
        longitude_degrees: f64,
        radius_m: f64,
        limit: usize,
    ) -> Vec<NearbyPlace<'_>> {
        let mut hits = self.grid.within(latitude_degrees, longitude_degrees, radius_m);
        let order = |a: &Hit, b: &Hit| self.order(a, b);
        if hits.len() > limit {
            // Select before sorting: thousands of places may be within the radius, and the limit is usually small.
            hits.select_nth_unstable_by(limit, order);
            hits.truncate(limit);
        }
        hits.sort_unstable_by(order);
        hits.iter().map(|hit| self.place(hit)).collect()
    }

    /// Returns the number of places.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    fn unpack(files: &[&[u8]]) -> Result<Self, PlacesError> {
        let mut columns = Columns::default();
        for packed in files {
            columns.append(Columns::unpack(packed)?)?;
        }
        let grid = Grid::new((0..columns.len()).map(|row| columns.position(row)));
        Ok(Self { columns, grid })
    }

    fn order(&self, a: &Hit, b: &Hit) -> Ordering {
        a.distance_m
            .total_cmp(&b.distance_m)
            .then_with(|| self.columns.name(a.row).cmp(self.columns.name(b.row)))
            .then_with(|| a.row.cmp(&b.row))
    }

    fn place(&self, hit: &Hit) -> NearbyPlace<'_> {
        let row = hit.row;
        let (latitude_degrees, longitude_degrees) = self.columns.position(row);
        let (country_code, country) = self.columns.country(row);
        NearbyPlace {
            name: self.columns.name(row),
            country,
            country_code,
            kind: self.columns.kind(row),
            population_approx: self.columns.population_approx(row),
            latitude_degrees,
            longitude_degrees,
            distance_m: hit.distance_m,
        }
    }
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
