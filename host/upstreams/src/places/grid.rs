//! A static spatial index: points sorted into cells of latitude bands.
//!
//! Owns the geometry of the globe, which is a sphere here. Knows nothing about places: a point is a row number.
//!
//! Distances are computed on unit vectors, where neither the poles nor the antimeridian are special. The cells only
//! preselect the points to measure; they may select too many but never too few.
//!
//! Bounds: 28 bytes a point and about 0.7 MB for the cells. Nothing grows after [`Grid::new`].

use std::f64::consts::PI;
use std::ops::Range;

/// Mean radius of the earth in metres (IUGG, R1).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Rounding of distances, to a millimetre. That exceeds the error of the computation by far, so equally distant points
/// compare as equal anywhere on the globe.
const ROUNDINGS_PER_M: f64 = 1000.0;

/// Height of a band, and width of a cell at the wider side of its band. Half a degree is 56 km, about the radius of a
/// common query: smaller cells save few measurements, larger ones cost many.
const BAND_DEGREES: f64 = 0.5;
const BANDS: usize = 360;

/// Margin added to the reach of a query before cells are selected, 0.1 mm: more than the rounding error of the
/// trigonometric functions.
const SLACK_DEGREES: f64 = 1e-9;

/// Latitude beyond which a query selects whole bands. The formula for the width loses precision near a pole, where bands
/// have few cells anyway.
const POLAR_DEGREES: f64 = 89.99;

/// The index. Points of one cell are adjacent, and so are the cells of one band, from west to east.
pub(super) struct Grid {
    /// First cell of each band from south to north, followed by the number of cells.
    bands: Vec<u32>,
    /// First point of each cell, followed by the number of points.
    cells: Vec<u32>,
    points: Vec<[f64; 3]>,
    /// Row of each point.
    rows: Vec<u32>,
}

/// A point within the radius of a query.
pub(super) struct Hit {
    pub(super) row: usize,
    /// Great-circle distance, rounded to a millimetre.
    pub(super) distance_m: f64,
}

impl Grid {
    /// Builds an index of points, given as latitude and longitude in degrees. Rows are numbered from 0.
    pub(super) fn new(positions: impl ExactSizeIterator<Item = (f64, f64)> + Clone) -> Self {
        let bands = lay_out_bands();
        let mut cells = vec![0; bands[BANDS] as usize + 1];
        // Counting sort: count the points of each cell, sum the counts to the end of each cell, then fill every cell
        // from its end, which leaves its start behind.
        for position in positions.clone() {
            cells[cell_of(&bands, position)] += 1;
        }
        let mut end = 0;
        for cell in &mut cells {
            end += *cell;
            *cell = end;
        }
        let mut points = vec![[0.0; 3]; positions.len()];
        let mut rows = vec![0; positions.len()];
        for (position, row) in positions.zip(0..) {
            let cell = &mut cells[cell_of(&bands, position)];
            *cell -= 1;
            points[*cell as usize] = unit_vector(position);
            rows[*cell as usize] = row;
        }
        Self { bands, cells, points, rows }
    }

    /// Returns all points within `radius_m` metres, in no particular order.
    ///
    /// Returns none for a latitude beyond 90 degrees, a longitude beyond 180, a negative radius or NaN.
    pub(super) fn within(&self, latitude_degrees: f64, longitude_degrees: f64, radius_m: f64) -> Vec<Hit> {
        let mut hits = Vec::new();
        if !(-90.0..=90.0).contains(&latitude_degrees)
            || !(-180.0..=180.0).contains(&longitude_degrees)
            || !(0.0..=f64::INFINITY).contains(&radius_m)
        {
            return hits;
        }
        // The chord, which is cheap, filters with a margin of one rounding step. The rounded distance decides, so no
        // hit is reported beyond the radius.
        let angle = ((radius_m + 1.0 / ROUNDINGS_PER_M) / EARTH_RADIUS_M).min(PI);
        let chord_squared_max = chord_squared_of(angle);
        let center = unit_vector((latitude_degrees, longitude_degrees));
        for span in self.spans(latitude_degrees, longitude_degrees, angle.to_degrees()) {
            for (point, &row) in self.points[span.clone()].iter().zip(&self.rows[span]) {
                let chord_squared = chord_squared(&center, point);
                if chord_squared <= chord_squared_max {
                    let distance_m = distance_m(chord_squared);
                    if distance_m <= radius_m {
                        hits.push(Hit { row: row as usize, distance_m });
                    }
                }
            }
        }
        hits
    }

    /// Returns runs of points that together contain every point within `reach` degrees, and none twice.
    fn spans(&self, latitude: f64, longitude: f64, reach: f64) -> impl Iterator<Item = Range<usize>> {
        let reach = reach + SLACK_DEGREES;
        let half_width = half_width(latitude, reach);
        let east = east_of_antimeridian(longitude);
        (band_of(latitude - reach)..=band_of(latitude + reach)).flat_map(move |band| {
            let count = i64::from(self.bands[band + 1] - self.bands[band]);
            let column = |degrees: f64| (degrees * count as f64 / 360.0).floor() as i64;
            let (west_end, east_end) = (column(east - half_width), column(east + half_width));
            // A run that wraps around to its own first cell would contain that cell twice.
            if east_end - west_end >= count - 1 {
                return [self.run(band, 0..count), 0..0];
            }
            let (first, last) = (west_end.rem_euclid(count), east_end.rem_euclid(count));
            if first <= last {
                [self.run(band, first..last + 1), 0..0]
            } else {
                [self.run(band, first..count), self.run(band, 0..last + 1)]
            }
        })
    }

    /// Returns the points of adjacent cells of a band.
    fn run(&self, band: usize, columns: Range<i64>) -> Range<usize> {
        let start = |column: i64| self.cells[self.bands[band] as usize + column as usize] as usize;
        start(columns.start)..start(columns.end)
    }
}

/// Returns the first cell of every band, followed by the number of cells. A band has as many cells as fit its wider side,
/// so that cells are about square everywhere.
fn lay_out_bands() -> Vec<u32> {
    let mut first_cell = 0;
    let mut bands = vec![first_cell];
    for band in 0..BANDS {
        let south = band as f64 * BAND_DEGREES - 90.0;
        let near_equator = if south < 0.0 { south + BAND_DEGREES } else { south };
        first_cell += (360.0 / BAND_DEGREES * near_equator.to_radians().cos()).ceil() as u32;
        bands.push(first_cell);
    }
    bands
}

fn cell_of(bands: &[u32], (latitude, longitude): (f64, f64)) -> usize {
    let band = band_of(latitude);
    let count = bands[band + 1] - bands[band];
    let column = (east_of_antimeridian(longitude) * f64::from(count) / 360.0) as u32;
    (bands[band] + column.min(count - 1)) as usize
}

/// Returns the band of a latitude. A latitude beyond a pole belongs to the band at the pole.
fn band_of(latitude: f64) -> usize {
    // The cast saturates: a negative number becomes 0.
    (((latitude + 90.0) / BAND_DEGREES) as usize).min(BANDS - 1)
}

/// Returns the degrees of longitude by which a circle of `reach` degrees extends to either side at its widest.
///
/// The pole, the centre and the point where a meridian touches the circle form a right-angled spherical triangle:
/// sin(width) = sin(reach) / cos(latitude).
fn half_width(latitude: f64, reach: f64) -> f64 {
    if latitude.abs() + reach >= POLAR_DEGREES {
        return 180.0;
    }
    (reach.to_radians().sin() / latitude.to_radians().cos()).asin().to_degrees() + SLACK_DEGREES
}

/// Returns degrees of longitude, 0 to 360, counted from the western edge of the first cell.
fn east_of_antimeridian(longitude: f64) -> f64 {
    longitude + 180.0
}

fn unit_vector((latitude, longitude): (f64, f64)) -> [f64; 3] {
    let (sin_latitude, cos_latitude) = latitude.to_radians().sin_cos();
    let (sin_longitude, cos_longitude) = longitude.to_radians().sin_cos();
    [cos_latitude * cos_longitude, cos_latitude * sin_longitude, sin_latitude]
}

fn chord_squared(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)
}

/// Returns the squared chord between points `angle` radians apart, in earth radii; infinity for half a turn, beyond which
/// no point lies.
fn chord_squared_of(angle: f64) -> f64 {
    if angle >= PI { f64::INFINITY } else { (2.0 * (angle / 2.0).sin()).powi(2) }
}

/// Returns the great-circle distance of a squared chord.
fn distance_m(chord_squared: f64) -> f64 {
    // A chord is twice the sine of half its angle. Rounding may exceed 1 at the antipode, where asin would be NaN.
    let angle = 2.0 * (chord_squared.sqrt() / 2.0).min(1.0).asin();
    (angle * EARTH_RADIUS_M * ROUNDINGS_PER_M).round() / ROUNDINGS_PER_M
}

#[cfg(test)]
mod tests;
