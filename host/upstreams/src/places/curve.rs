//! The Hilbert curve over the globe that the rows of a places file follow, so that neighbours in the file are neighbours on the ground.
//!
//! Owns where a distance along the curve lies. Allocates nothing. Knows nothing about places.

/// Bits of a distance along the curve: it fills a square of 2^22 cells to a side.
pub(super) const BITS: u32 = 44;

/// Returns latitude and longitude of a distance along the curve, in steps of 1e-4 degree. None outside of the globe.
///
/// This is `d2xy` of the usual description (<https://en.wikipedia.org/wiki/Hilbert_curve>), with longitude as x and latitude as y.
pub(super) fn position(distance: u64) -> Option<(i32, i32)> {
    if distance >> BITS != 0 {
        return None;
    }
    let (mut x, mut y) = (0, 0);
    for level in 0..BITS / 2 {
        let digit = (distance >> (2 * level)) & 3;
        let (right, upper) = (digit >> 1 == 1, digit == 1 || digit == 2);
        let side = 1_i32 << level;
        if !upper {
            if right {
                (x, y) = (side - 1 - x, side - 1 - y);
            }
            (x, y) = (y, x);
        }
        x += side * i32::from(right);
        y += side * i32::from(upper);
    }
    let (latitude, longitude) = (y - LATITUDE_STEPS_MAX, x - LONGITUDE_STEPS_MAX);
    (latitude <= LATITUDE_STEPS_MAX && longitude <= LONGITUDE_STEPS_MAX).then_some((latitude, longitude))
}

const LATITUDE_STEPS_MAX: i32 = 900_000;
const LONGITUDE_STEPS_MAX: i32 = 1_800_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::curve_distance;
    use super::*;

    #[test]
    fn position_of_the_origin_is_the_south_west() {
        assert_eq!(position(0), Some((-900_000, -1_800_000)));
    }

    #[test]
    fn position_outside_of_the_globe_is_none() {
        for distance in [1 << BITS, u64::MAX, (1 << BITS) - 1, curve_distance(900_001, 0), curve_distance(0, 1_800_001)]
        {
            assert_eq!(position(distance), None, "{distance}");
        }
    }

    #[test]
    fn positions_of_consecutive_distances_are_adjacent() {
        let start = curve_distance(340_689, -1_184_451);
        for distance in start..start + 5000 {
            let (a, b) = (position(distance).unwrap(), position(distance + 1).unwrap());
            assert_eq!((a.0 - b.0).abs() + (a.1 - b.1).abs(), 1, "{distance}");
        }
    }

    proptest! {
        #[test]
        fn position_is_the_one_whose_distance_it_was(latitude in -900_000..=900_000, longitude in -1_800_000..=1_800_000) {
            prop_assert_eq!(position(curve_distance(latitude, longitude)), Some((latitude, longitude)));
        }
    }
}
