use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::sample::Sample;
use super::*;

static EMBEDDED: LazyLock<Places> = LazyLock::new(|| Places::embedded().unwrap());

fn places(rows: &[(&str, f64, f64)]) -> Places {
    Places::unpack(&[&Sample::of(rows).packed()]).unwrap()
}

fn names<'a>(near: &[NearbyPlace<'a>]) -> Vec<&'a str> {
    near.iter().map(|place| place.name).collect()
}

#[test]
fn nearby_lists_places_around_a_university_nearest_first() {
    let near = EMBEDDED.nearby(34.06893, -118.445127, 10_000.0, 100);
    let settlements: Vec<_> = near.iter().filter(|place| place.kind != PlaceKind::Airport).cloned().collect();
    let expected = ["Bel Air", "Westwood", "Century City", "Brentwood", "Sawtelle", "Beverly Hills"];
    assert_eq!(names(&settlements)[..6], expected[..6]);
    assert_eq!(settlements.len(), 15);
    assert!(near.iter().any(|place| place.name == "Santa Monica Municipal Airport (SMO)"), "{near:#?}");
    assert!(near.windows(2).all(|pair| pair[0].distance_m <= pair[1].distance_m));
    assert!(near.iter().all(|place| place.distance_m <= 10_000.0));

    let hills = &settlements[5];
    assert_eq!((hills.country, hills.country_code, hills.kind), ("United States", "US", PlaceKind::Town));
    assert!(hills.population_approx.is_some_and(|count| (31_000..36_000).contains(&count)), "{hills:?}");
    assert!((4_100.0..4_300.0).contains(&hills.distance_m), "{hills:?}");
    assert_eq!((hills.latitude_degrees, hills.longitude_degrees), (34.0736, -118.4004));
}

#[test]
fn nearby_is_empty_in_the_south_pacific() {
    assert_eq!(EMBEDDED.nearby(-48.8767, -123.3933, 1_000_000.0, 10), []);
}

#[test]
fn embedded_data_has_every_row_and_every_kind() {
    let all = EMBEDDED.nearby(0.0, 0.0, f64::INFINITY, usize::MAX);
    assert_eq!(all.len(), EMBEDDED.len());
    let counts = PlaceKind::ALL.map(|kind| all.iter().filter(|place| place.kind == kind).count());
    assert_eq!(counts, [243, 6_038, 38_804, 102_445, 56_699, 30_679, 28_298]);
    assert!(all.iter().all(|place| !place.name.is_empty() && place.country_code.len() == 2));
}

#[test]
fn embedded_data_has_one_capital_per_country() {
    let all = EMBEDDED.nearby(38.9, -77.04, f64::INFINITY, usize::MAX);
    let capitals: Vec<_> = all.iter().filter(|place| place.kind == PlaceKind::Capital).collect();
    assert_eq!((capitals[0].name, capitals[0].country_code), ("Washington", "US"));
    assert_eq!(capitals.iter().filter(|place| place.country_code == "US").count(), 1);
    assert!(capitals.iter().any(|place| (place.name, place.country_code) == ("Bogotá", "CO")));
}

#[test]
fn nearby_spans_the_antimeridian() {
    let near = EMBEDDED.nearby(-16.8, 179.99, 120_000.0, 100);
    assert!(near.iter().any(|place| place.longitude_degrees > 0.0), "{near:#?}");
    assert!(near.iter().any(|place| place.longitude_degrees < 0.0), "{near:#?}");
}

#[test]
fn nearby_orders_places_at_one_spot_by_name() {
    let spot = |name| (name, -90.0, 180.0);
    let near = places(&[spot("c"), spot("a"), ("first", -90.0, -180.0), spot("b"), ("far", -89.0, 0.0)]);
    assert_eq!(names(&near.nearby(-90.0, 12.0, 1.0, 9)), ["a", "b", "c", "first"]);
    assert_eq!(names(&near.nearby(-90.0, 12.0, 1.0, 2)), ["a", "b"]);
}

#[test]
fn nearby_orders_equally_distant_places_by_name() {
    // The computed distances often differ in their last bit.
    for step in 0..80 {
        let latitude = f64::from(step);
        for (east, west) in [("a", "b"), ("b", "a")] {
            let places = places(&[(east, latitude, 10.1), (west, latitude, 9.9)]);
            let near = places.nearby(latitude, 10.0, 20_000.0, 2);
            assert_eq!(names(&near), ["a", "b"], "{near:?}");
        }
    }
}

#[test]
fn nearby_with_limit_zero_is_empty() {
    assert_eq!(places(&[("here", 0.0, 0.0)]).nearby(0.0, 0.0, 1.0, 0), []);
}

#[test]
fn damaged_data_is_an_error() {
    let cut = &PACKED[0][..PACKED[0].len() / 2];
    let error = Places::unpack(&[cut]).err().unwrap();
    assert_eq!(error.to_string(), "places data cannot be unpacked");
    assert!(matches!(Places::unpack(&[b""]), Err(PlacesError::Unpack(_))));
}

#[test]
fn attribution_names_source_licence_and_change() {
    for part in ["GeoNames", "geonames.org", "CC BY 4.0", "modified"] {
        assert!(ATTRIBUTION.contains(part), "{part}");
    }
}

proptest! {
    /// Method: coordinates from a coarse lattice, so that many places share a spot or a distance.
    #[test]
    fn nearby_limit_keeps_the_nearest_and_breaks_ties_by_name(
        rows in vec(("[a-c]{1,2}", -2_i32..=2, -2_i32..=2), 0..40),
        limit in 0_usize..50,
        radius_m in 0.0..20_000_000.0,
    ) {
        let rows: Vec<_> = rows.iter().map(|(name, north, east)| (
            name.as_str(), f64::from(*north) * 45.0, f64::from(*east) * 90.0,
        )).collect();
        let places = places(&rows);
        let all = places.nearby(45.0, 180.0, radius_m, usize::MAX);
        for pair in all.windows(2) {
            let key = |place: &NearbyPlace<'_>| (place.distance_m, place.name.to_owned());
            prop_assert!(key(&pair[0]) <= key(&pair[1]), "{pair:?}");
        }
        let limited = places.nearby(45.0, 180.0, radius_m, limit);
        prop_assert_eq!(&limited[..], &all[..limit.min(all.len())]);
    }
}
