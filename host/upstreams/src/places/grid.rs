//! A static spatial index: points sorted into cells of latitude bands.
//!
//! Owns the geometry of the globe as this program knows it, a sphere. Knows nothing about places: a
//! point is a row number. Distances are measured on unit vectors, where neither the poles nor the
//! antimeridian are special; the cells only choose which points to measure, and may choose too many
//! but never too few.
//!
//! Bounds: 28 bytes a point and about 0.7 MB for the cells; nothing grows after [`Grid::new`].

use std::f64::consts::PI;
use std::ops::Range;

/// Mean radius of the earth in metres (IUGG, R1).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Distances are rounded to a millimetre, far more than the error of their calculation: points
/// equally far away then compare as equal, wherever they lie.
const ROUNDINGS_PER_M: f64 = 1000.0;

/// Height of a band and, at its wide side, the width of a cell. Half a degree is 56 km, about the
/// radius of a common query: smaller cells save few measurements, larger ones cost many.
const BAND_DEGREES: f64 = 0.5;
const BANDS: usize = 360;

/// Added to the reach of a query before cells are chosen, 0.1 mm: more than the rounding of the
/// trigonometry.
const SLACK_DEGREES: f64 = 1e-9;

/// A query that reaches this close to a pole looks at whole bands. The formula for the width loses
/// its precision there, and the bands have few cells.
const POLAR_DEGREES: f64 = 89.99;

/// The index. Points of one cell, and cells of one band from west to east, lie side by side.
pub(super) struct Grid {
    /// The first cell of each band from south to north, and at the end the number of cells.
    bands: Vec<u32>,
    /// The first point of each cell, and at the end the number of points.
    cells: Vec<u32>,
    points: Vec<[f64; 3]>,
    /// The row of each point.
    rows: Vec<u32>,
}

/// A point within the radius of a query.
pub(super) struct Hit {
    pub(super) row: usize,
    /// Along the great circle, rounded to a millimetre.
    pub(super) distance_m: f64,
}

impl Grid {
    /// Sorts points, given as latitude and longitude in degrees, into an index. Rows are numbered
    /// from 0.
    pub(super) fn new(positions: impl ExactSizeIterator<Item = (f64, f64)> + Clone) -> Self {
        let bands = lay_out_bands();
        let mut cells = vec![0; bands[BANDS] as usize + 1];
        // A counting sort: count, sum up to where each cell ends, then fill every cell from its
        // end.
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

    /// Finds all points within `radius_m` metres, in no particular order.
    ///
    /// Finds nothing for a latitude beyond 90 degrees, a longitude beyond 180, a negative radius or
    /// anything that is not a number.
    pub(super) fn within(&self, latitude_degrees: f64, longitude_degrees: f64, radius_m: f64) -> Vec<Hit> {
        let mut hits = Vec::new();
        if !(-90.0..=90.0).contains(&latitude_degrees)
            || !(-180.0..=180.0).contains(&longitude_degrees)
            || !(0.0..=f64::INFINITY).contains(&radius_m)
        {
            return hits;
        }
        // The chord is cheap and sieves; the distance decides, so that none is reported beyond the
        // radius.
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

    /// Returns runs of points that together hold every point within `reach` degrees, none of them
    /// twice.
    fn spans(&self, latitude: f64, longitude: f64, reach: f64) -> impl Iterator<Item = Range<usize>> {
        let reach = reach + SLACK_DEGREES;
        let half_width = half_width(latitude, reach);
        let east = east_of_antimeridian(longitude);
        (band_of(latitude - reach)..=band_of(latitude + reach)).flat_map(move |band| {
            let count = i64::from(self.bands[band + 1] - self.bands[band]);
            let column = |degrees: f64| (degrees * count as f64 / 360.0).floor() as i64;
            let (west_end, east_end) = (column(east - half_width), column(east + half_width));
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

    /// Returns the points in some neighbouring cells of a band.
    fn run(&self, band: usize, columns: Range<i64>) -> Range<usize> {
        let start = |column: i64| self.cells[self.bands[band] as usize + column as usize] as usize;
        start(columns.start)..start(columns.end)
    }
}

/// Returns the first cell of every band, and the number of cells. A band has as many cells as its
/// wide side has room for, so that cells are about square everywhere.
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

/// Returns the band of a latitude; one beyond a pole belongs to the last band before it.
fn band_of(latitude: f64) -> usize {
    // A cast of a negative number gives 0.
    (((latitude + 90.0) / BAND_DEGREES) as usize).min(BANDS - 1)
}

/// Returns how many degrees of longitude a circle of `reach` degrees extends to either side at its
/// widest.
///
/// The meridian that touches the circle, the pole and the centre form a right-angled triangle:
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

/// Returns the square of the straight line between points `angle` radians apart, in earth radii;
/// infinity for half a turn, which nothing is beyond.
fn chord_squared_of(angle: f64) -> f64 {
    if angle >= PI { f64::INFINITY } else { (2.0 * (angle / 2.0).sin()).powi(2) }
}

/// Returns the distance along the great circle that belongs to the square of a chord.
fn distance_m(chord_squared: f64) -> f64 {
    // The chord of an angle is twice the sine of its half. Rounding may take the antipode past 1.
    let angle = 2.0 * (chord_squared.sqrt() / 2.0).min(1.0).asin();
    (angle * EARTH_RADIUS_M * ROUNDINGS_PER_M).round() / ROUNDINGS_PER_M
}

#[cfg(test)]
mod tests;
