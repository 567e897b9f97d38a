use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Position = (f64, f64);

/// Distance by the haversine formula, which shares only the radius with the index.
fn haversine_m(a: Position, b: Position) -> f64 {
    let squared_sine = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let h = squared_sine(b.0 - a.0) + a.0.to_radians().cos() * b.0.to_radians().cos() * squared_sine(b.1 - a.1);
    2.0 * 6_371_008.8 * h.sqrt().min(1.0).asin()
}

/// Tolerance of a comparison. Both formulas lose half of their digits at the antipode.
fn tolerance_m(distance_m: f64) -> f64 {
    if distance_m > 19_900_000.0 { 1.0 } else { 2e-3 }
}

fn found(grid: &Grid, at: Position, radius_m: f64) -> BTreeMap<usize, f64> {
    let hits = grid.within(at.0, at.1, radius_m);
    let count = hits.len();
    let found: BTreeMap<_, _> = hits.iter().map(|hit| (hit.row, hit.distance_m)).collect();
    assert_eq!(found.len(), count, "a row was found twice");
    found
}

fn rows(points: &[Position], at: Position, radius_m: f64) -> Vec<usize> {
    found(&Grid::new(points.iter().copied()), at, radius_m).into_keys().collect()
}

fn latitude() -> impl Strategy<Value = f64> {
    prop_oneof![
        -90.0..=90.0,
        89.0..=90.0,
        -90.0..=-89.0,
        prop::sample::select(vec![-90.0, -89.9999, -89.99, -0.5, 0.0, 0.5, 89.99, 89.9999, 90.0]),
    ]
}

fn longitude() -> impl Strategy<Value = f64> {
    prop_oneof![
        -180.0..=180.0,
        179.0..=180.0,
        -180.0..=-179.0,
        prop::sample::select(vec![-180.0, -179.9999, -90.0, 0.0, 90.0, 179.9999, 180.0]),
    ]
}

/// Radius from a metre to half the globe, uniform in its logarithm.
fn radius_m() -> impl Strategy<Value = f64> {
    (0.0..7.31).prop_map(|exponent: f64| 10_f64.powf(exponent))
}

/// A centre, a radius, and points: anywhere, around the edge of the circle, or at the centre.
fn scene() -> impl Strategy<Value = (Position, f64, Vec<Position>)> {
    (latitude(), longitude(), radius_m()).prop_flat_map(|(lat, lon, radius)| {
        let scale = (radius / 111_195.0).min(90.0);
        let around = (-1.2..=1.2, -1.2..=1.2).prop_map(move |(north, east): (f64, f64)| {
            let latitude = (lat + north * scale).clamp(-90.0, 90.0);
            let width = (scale / latitude.to_radians().cos().max(1e-6)).min(180.0);
            let longitude = lon + east * width;
            (latitude, longitude - 360.0 * ((longitude + 180.0) / 360.0).floor())
        });
        let point = prop_oneof![4 => around, 2 => (latitude(), longitude()), 1 => Just((lat, lon))];
        (Just((lat, lon)), Just(radius), vec(point, 0..60))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn index_finds_the_points_that_a_full_scan_finds((at, radius_m, points) in scene()) {
        let found = found(&Grid::new(points.iter().copied()), at, radius_m);
        for (row, &point) in points.iter().enumerate() {
            let distance_m = haversine_m(at, point);
            let tolerance_m = tolerance_m(distance_m);
            let case = format!("{point:?} at {distance_m} m, radius {radius_m} m");
            match found.get(&row) {
                Some(&by_index) => {
                    prop_assert!(distance_m <= radius_m + tolerance_m, "too far: {case}");
                    prop_assert!(by_index <= radius_m, "{by_index} m: {case}");
                    prop_assert!((by_index - distance_m).abs() <= tolerance_m, "{by_index} m: {case}");
                }
                None => prop_assert!(distance_m >= radius_m - tolerance_m, "missed: {case}"),
            }
        }
    }
}

#[test]
fn index_spans_the_antimeridian_from_either_side() {
    let points = [(0.0, 180.0), (0.0, -180.0), (0.0, 179.95), (0.0, -179.95), (0.0, 178.0)];
    for longitude in [180.0, -180.0, 179.96, -179.96] {
        assert_eq!(rows(&points, (0.0, longitude), 12_000.0), [0, 1, 2, 3], "from {longitude}");
    }
}

#[test]
fn index_spans_the_poles() {
    for pole in [-1.0, 1.0] {
        let points = [(pole * 89.95, 10.0), (pole * 89.95, -170.0), (pole * 90.0, 77.0), (pole * 89.8, -170.0)];
        assert_eq!(rows(&points, (pole * 89.95, 10.0), 12_000.0), [0, 1, 2]);
        assert_eq!(rows(&points, (pole * 90.0, -33.0), 6_000.0), [0, 1, 2]);
    }
}

#[test]
fn index_finds_all_points_at_one_spot_with_radius_zero() {
    let points = [(48.8566, 2.3522); 1000];
    assert_eq!(rows(&points, points[0], 0.0).len(), 1000);
}

#[test]
fn index_finds_all_points_within_half_the_circumference() {
    let points = [(90.0, 0.0), (-90.0, 0.0), (0.0, 0.0), (0.0, 180.0), (-12.5, 167.25)];
    for radius_m in [PI * EARTH_RADIUS_M, 1e12, f64::INFINITY] {
        assert_eq!(rows(&points, (12.5, -12.75), radius_m).len(), points.len());
    }
}

#[test]
fn index_finds_the_antipode_at_half_the_circumference() {
    for step in 0..=1800 {
        let (latitude, longitude) = (f64::from(step) * 0.1 - 90.0, f64::from(step) * 0.0999);
        let antipode = [(-latitude, longitude - 180.0)];
        let grid = Grid::new(antipode.iter().copied());
        let found = found(&grid, (latitude, longitude), f64::INFINITY);
        assert!((found[&0] - PI * EARTH_RADIUS_M).abs() < 1.0, "{antipode:?}");
    }
}

#[test]
fn index_finds_a_point_within_its_reported_distance() {
    for step in 0..500 {
        let point = [(f64::from(step) * 0.13, f64::from(step) * 0.37)];
        let grid = Grid::new(point.iter().copied());
        let distance_m = found(&grid, (1.0, 2.0), f64::INFINITY)[&0];
        assert_eq!(found(&grid, (1.0, 2.0), distance_m).len(), 1, "{distance_m}");
        assert_eq!(found(&grid, (1.0, 2.0), distance_m - 0.001).len(), 0, "{distance_m}");
    }
}

#[test]
fn index_finds_nothing_for_an_invalid_position_or_radius() {
    let points = [(0.0, 0.0), (90.0, 0.0)];
    assert_eq!(rows(&points, (0.0, 0.0), 1.0), [0]);
    for at in
        [(f64::NAN, 0.0), (0.0, f64::NAN), (0.0, f64::INFINITY), (0.0, 180.1), (0.0, -540.0), (90.1, 0.0), (-91.0, 0.0)]
    {
        assert!(rows(&points, at, f64::INFINITY).is_empty(), "{at:?}");
    }
    for radius_m in [-1.0, f64::NAN, f64::NEG_INFINITY] {
        assert!(rows(&points, (0.0, 0.0), radius_m).is_empty(), "{radius_m}");
    }
    assert!(rows(&[], (0.0, 0.0), 1e6).is_empty());
}

#[test]
fn cells_are_about_square_and_cover_the_globe() {
    let bands = lay_out_bands();
    assert_eq!(bands.len(), BANDS + 1);
    // 4 pi steradians in square degrees, divided by the size of a cell, plus some for bands that do not divide evenly.
    assert!((165_012..167_000).contains(&bands[BANDS]), "{}", bands[BANDS]);
}
