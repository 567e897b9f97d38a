//! The places that are built into the binary: settlements and airports of the whole globe.
//!
//! Owns the unpacked rows and their spatial index. Both are made once by [`Places::embedded`] and
//! never change, so a shared reference serves every worker without a lock. Knows nothing about the
//! protocol, about other sources of places, or about who asks.
//!
//! Bounds: 16 MB of heap for 263,000 rows, 22 MB while unpacking. A query costs time in proportion
//! to the rows inside its radius (5 µs for 50 km, 0.1 ms for 500 km), and at most `limit` rows
//! leave it. There are settlements and airports here, not cafes: an empty answer is a normal one.

mod columns;
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

/// What the licence of the data asks for. Belongs into every answer that was made from it.
pub(crate) const ATTRIBUTION: &str =
    "Contains data from GeoNames (geonames.org), CC BY 4.0, modified: reduced and rounded";

/// Written by `host/upstreams/data/build_places.py`.
static PACKED: &[u8] = include_bytes!("../../data/places.bin.zst");

/// The embedded places, ready for queries.
pub(crate) struct Places {
    columns: Columns,
    grid: Grid,
}

/// A place found by [`Places::nearby`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NearbyPlace<'a> {
    /// The name as its source writes it; for an airport with the IATA or ICAO code in parentheses.
    pub(crate) name: &'a str,
    /// English name of the country.
    pub(crate) country: &'a str,
    /// ISO 3166-1 code of the country, two letters.
    pub(crate) country_code: &'a str,
    /// Settlement, and of what size, or airport.
    pub(crate) kind: PlaceKind,
    /// Three digits, within 4 % of what its source says (so it may stray over a bound of `kind`);
    /// `None` where that has no figure.
    pub(crate) population_approx: Option<u32>,
    /// Degrees north, rounded to 1e-4 (11 m).
    pub(crate) latitude_degrees: f64,
    /// Degrees east, -180 to 180, rounded to 1e-4.
    pub(crate) longitude_degrees: f64,
    /// Metres along the great circle from where the query asked, rounded to a millimetre.
    pub(crate) distance_m: f64,
}

impl Places {
    /// Unpacks and indexes the data that is built into the binary.
    ///
    /// Takes some 60 ms and the processor all that time: call it once, at start, off the async
    /// workers.
    ///
    /// # Errors
    ///
    /// Only if the data file was damaged before the binary was built; nothing is kept then.
    pub(crate) fn embedded() -> Result<Self, PlacesError> {
        Self::unpack(PACKED)
    }

    /// Finds the places within `radius_m` metres, nearest first, and returns at most `limit` of
    /// them.
    ///
    /// Places at one distance are ordered by name, so that every node gives the same answer. The
    /// answer is empty for a latitude beyond 90 degrees, a longitude beyond 180, a negative radius
    /// and for anything that is not a number; an infinite radius reaches all places.
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
            // Thousands may lie within the radius where a handful is asked for: sort only those.
            hits.select_nth_unstable_by(limit, order);
            hits.truncate(limit);
        }
        hits.sort_unstable_by(order);
        hits.iter().map(|hit| self.place(hit)).collect()
    }

    /// Returns how many places there are.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    fn unpack(packed: &[u8]) -> Result<Self, PlacesError> {
        let columns = Columns::unpack(packed)?;
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
