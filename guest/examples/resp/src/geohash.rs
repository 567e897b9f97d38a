//! Geohashes of 52 bits, and distances between them.
//!
//! The formulas are those of redis (`geohash.c` and `geohash_helper.c`), so that positions and distances agree with it to the last
//! printed digit: longitude and latitude are each cut into 2^26 steps, and the bits of both numbers are interleaved. The latitude
//! ends at that of the Mercator projection of EPSG:3857. Distances are haversines on a sphere of the radius 6372797.560856 m.

/// Position on the earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Position {
    pub(crate) longitude: f64,
    pub(crate) latitude: f64,
}

/// Cell of a grid of 2^26 by 2^26, with the bits of its latitude at the even places and those of its longitude at the odd ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geohash(pub(crate) u64);

impl Position {
    /// Creates a position, or none outside of the grid.
    pub(crate) fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let is_within = longitude.abs() <= LONGITUDE_MAX && latitude.abs() <= LATITUDE_MAX;
        is_within.then_some(Self { longitude, latitude })
    }

    /// Returns the cell of the position.
    pub(crate) fn geohash(self) -> Geohash {
        // The highest value of all makes a step of 2^26, one too many. Redis keeps it so, and 64 bits have room for it.
        let step = |value: f64, max: f64| ((value + max) / (2.0 * max) * STEPS) as u32;
        let (latitude, longitude) = (step(self.latitude, LATITUDE_MAX), step(self.longitude, LONGITUDE_MAX));
        let bits = spread(latitude) | spread(longitude) << 1;
        // Redis keeps them as a float of 53 bits, which rounds those of the last longitude.
        Geohash(bits as f64 as u64)
    }

    /// Returns the distance to another position, in metres.
    pub(crate) fn distance_m(self, other: Self) -> f64 {
        let radians = |degrees: f64| degrees * (std::f64::consts::PI / 180.0);
        let (from, to) = (radians(self.latitude), radians(other.latitude));
        let u = ((to - from) / 2.0).sin();
        let v = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        2.0 * EARTH_RADIUS_M * (u * u + from.cos() * to.cos() * v * v).sqrt().asin()
    }
}

impl Geohash {
    /// Returns the middle of the cell.
    pub(crate) fn position(self) -> Position {
        let middle = |step: u32, max: f64| {
            let edge = |step: u32| -max + (f64::from(step) / STEPS) * (2.0 * max);
            ((edge(step) + edge(step.wrapping_add(1))) / 2.0).clamp(-max, max)
        };
        Position {
            longitude: middle(gather(self.0 >> 1), LONGITUDE_MAX),
            latitude: middle(gather(self.0), LATITUDE_MAX),
        }
    }
}

/// Moves the bits of a number to the even places.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in SPREADS {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Collects the bits at the even places.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}

const SPREADS: [(u32, u64); 5] = [
    (16, 0x0000_ffff_0000_ffff),
    (8, 0x00ff_00ff_00ff_00ff),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
];

const LONGITUDE_MAX: f64 = 180.0;
const LATITUDE_MAX: f64 = 85.051_128_78;
/// 2^26 steps along each axis.
const STEPS: f64 = 67_108_864.0;
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::float;

    fn cell(longitude: f64, latitude: f64) -> Position {
        Position::new(longitude, latitude).unwrap().geohash().position()
    }

    #[test]
    fn geohashes_are_those_of_the_documentation_of_redis() {
        let palermo = Position::new(13.361389, 38.115556).unwrap().geohash();
        assert_eq!(palermo, Geohash(3_479_099_956_230_698));
        let (palermo, catania) = (palermo.position(), cell(15.087269, 37.502669));
        let printed = [palermo.longitude, palermo.latitude, catania.longitude, catania.latitude].map(float::coordinate);
        assert_eq!(
            printed,
            ["13.36138933897018433", "38.11555639549629859", "15.08726745843887329", "37.50266842333162032"]
        );
        assert_eq!(float::distance(palermo.distance_m(catania)), "166274.1516");
    }

    #[test]
    fn grid_ends_at_the_poles_of_the_projection() {
        assert_eq!(Position::new(0.0, 85.06), None);
        assert_eq!(Position::new(-180.1, 0.0), None);
        assert_eq!(Position::new(f64::INFINITY, 0.0), None);
        assert_eq!(
            float::coordinate(cell(180.0, 39.576_536_033_9).latitude),
            "39.57653418564303394",
            "as printed by redis"
        );
        let corner = cell(180.0, LATITUDE_MAX);
        assert_eq!((corner.longitude, corner.latitude), (180.0, LATITUDE_MAX));
    }

    proptest! {
        #[test]
        fn middle_of_a_cell_is_in_the_cell_and_near(longitude in -180.0..180.0, latitude in -LATITUDE_MAX..LATITUDE_MAX) {
            let position = Position::new(longitude, latitude).unwrap();
            let middle = position.geohash().position();
            prop_assert_eq!(middle.geohash(), position.geohash());
            prop_assert!(position.distance_m(middle) < 0.4, "half of the diagonal of a cell");
        }

        #[test]
        fn gathering_returns_the_spread_bits(number: u32) {
            prop_assert_eq!(gather(spread(number)), number);
        }
    }
}
