use proptest::collection::vec;
use proptest::prelude::*;

use super::super::sample::{Sample, curve_distance, curve_steps};
use super::*;

/// In the order of the curve.
const PLACES: [(&str, f64, f64); 4] = [
    ("Somosomo", -16.7667, -179.9667),
    ("Naqara", -16.7333, -180.0),
    ("Ä", 90.0, 0.0001),
    ("Waiyevo", -16.7833, 180.0),
];

#[test]
fn decode_reads_what_was_written() {
    let mut sample = Sample::of(&PLACES);
    sample.countries[3] = 1;
    sample.populations = vec![0, 1, 104, 255];
    sample.kinds = vec![0, 2, 5, 6];
    let columns = Columns::unpack(&sample.packed()).unwrap();

    assert_eq!(columns.len(), 4);
    for (row, (name, latitude, longitude)) in PLACES.into_iter().enumerate() {
        assert_eq!(columns.name(row), name);
        assert_eq!(columns.position(row), (latitude, longitude));
    }
    assert_eq!((columns.country(2), columns.country(3)), (("FJ", "Fiji"), ("KI", "Kiribati")));
    let populations: Vec<_> = (0..4).map(|row| columns.population_approx(row)).collect();
    assert_eq!(populations, [None, Some(1), Some(1060), Some(29_100_000)]);
    let kinds: Vec<_> = (0..4).map(|row| columns.kind(row)).collect();
    assert_eq!(kinds, [PlaceKind::Capital, PlaceKind::Town, PlaceKind::Locality, PlaceKind::Airport]);
}

#[test]
fn decode_reads_a_file_without_rows() {
    assert_eq!(Columns::unpack(&Sample::of(&[]).packed()).unwrap().len(), 0);
}

#[test]
fn files_are_read_one_behind_the_other() {
    let unpack = |rows: &[(&str, f64, f64)]| Columns::unpack(&Sample::of(rows).packed()).unwrap();
    for at in 0..=PLACES.len() {
        let mut columns = Columns::default();
        for rows in [&PLACES[..at], &PLACES[at..]] {
            columns.append(unpack(rows)).unwrap();
        }
        assert_eq!(columns, unpack(&PLACES), "{at}");
    }
    let mut other = unpack(&PLACES);
    other.country_table.pop();
    assert!(matches!(unpack(&PLACES).append(other), Err(PlacesError::OtherCountries)));
}

#[test]
fn decode_refuses_a_truncated_file() {
    let file = Sample::of(&PLACES).file();
    for length in 0..file.len() {
        match Columns::decode(&file[..length]) {
            Err(PlacesError::NotPlaces) => assert!(length < 8),
            Err(PlacesError::Length { found, .. }) => assert_eq!(found, length as u64),
            other => panic!("{length} bytes: {other:?}"),
        }
    }
}

#[test]
fn decode_refuses_a_file_with_any_bit_changed() {
    let file = Sample::of(&PLACES).file();
    for bit in 0..8 * file.len() {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = Columns::decode(&damaged).unwrap_err();
        let expected = match bit / 8 {
            0..8 => matches!(error, PlacesError::NotPlaces),
            8..12 => matches!(error, PlacesError::Version { .. }),
            12..28 => matches!(error, PlacesError::Length { .. }),
            _ => matches!(error, PlacesError::Checksum),
        };
        assert!(expected, "bit {bit}: {error:?}");
    }
}

#[test]
fn unpack_refuses_a_truncated_frame() {
    let packed = Sample::of(&PLACES).packed();
    for length in 0..packed.len() {
        assert!(matches!(Columns::unpack(&packed[..length]), Err(PlacesError::Unpack(_))), "{length} bytes");
    }
}

#[test]
fn unpack_refuses_bytes_after_the_frame() {
    let packed = [Sample::of(&PLACES).packed(), vec![0; 3]].concat();
    assert!(matches!(Columns::unpack(&packed), Err(PlacesError::Trailing { bytes: 3 })));
}

#[test]
fn unpack_stops_a_decompression_bomb_at_the_limit() {
    // 131 blocks of four bytes that each unpack to 128 KiB of zeros, in a frame with a window of 128 KiB.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3];
    let block = (((128_u32 * 1024) << 3) | (1 << 1)).to_le_bytes();
    for _ in 0..131 {
        bomb.extend([block[0], block[1], block[2], 0]);
    }
    assert!(matches!(Columns::unpack(&bomb), Err(PlacesError::TooLarge)));
}

#[test]
fn unpack_refuses_a_large_window_before_allocating_it() {
    let file = Sample::of(&PLACES).file();
    let block = (((file.len() as u32) << 3) | 1).to_le_bytes();
    let frame = |window: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, window << 3], &block[..3], &file[..]].concat();
    assert!(Columns::unpack(&frame(14)).is_ok(), "16 MiB");
    assert!(matches!(Columns::unpack(&frame(15)), Err(PlacesError::Unpack(_))), "32 MiB");
}

#[test]
fn decode_allocates_no_rows_that_the_file_does_not_have() {
    // Billions of rows in 100 bytes: the sum is wrong in 64 bits but could be right modulo 2^32.
    for rows in [u32::MAX, u32::MAX / 3 + 2] {
        let file = Sample { rows, ..Sample::of(&PLACES) }.file();
        assert!(matches!(Columns::decode(&file), Err(PlacesError::Length { .. })));
    }
}

#[test]
fn decode_refuses_values_without_meaning() {
    let refused = |spoil: fn(&mut Sample)| {
        let mut sample = Sample::of(&PLACES);
        spoil(&mut sample);
        Columns::decode(&sample.file()).unwrap_err()
    };
    use PlacesError as E;
    assert!(matches!(refused(|s| s.countries[2] = 2), E::Country { found: 2 }));
    assert!(matches!(refused(|s| s.kinds[1] = 7), E::Kind { found: 7 }));
    assert!(matches!(refused(|s| s.country_table = b"Fiji".to_vec()), E::Countries));
    assert!(matches!(refused(|s| s.country_table[0] = 0xff), E::NotText));
    assert!(matches!(refused(|s| s.names[0] = 0xff), E::NotText));
    assert!(matches!(refused(|s| s.names[0] = b'\n'), E::Names { rows: 4, found: 5 }));
    assert!(matches!(refused(|s| s.names.clear()), E::Names { rows: 4, found: 1 }));
    assert!(matches!(refused(|s| s.steps.push(0)), E::CoordinatesLeft));
    assert!(matches!(refused(|s| _ = s.steps.pop()), E::Coordinate));
    assert!(matches!(refused(|s| s.widths[1] = 45), E::Coordinate));
    assert!(matches!(refused(|s| s.widths = vec![44; 4]), E::Coordinate));
}

#[test]
fn decode_refuses_coordinates_out_of_range() {
    let decode = |latitude, longitude| {
        let (widths, steps) = curve_steps([curve_distance(latitude, longitude)].into_iter());
        Columns::decode(&Sample { widths, steps, ..Sample::of(&PLACES[..1]) }.file())
    };
    for (latitude, longitude) in
        [(900_000, 1_800_000), (-900_000, 1_800_000), (900_000, -1_800_000), (-900_000, -1_800_000)]
    {
        assert!(decode(latitude, longitude).is_ok());
    }
    assert!(matches!(decode(900_001, 0), Err(PlacesError::Coordinate)));
    assert!(matches!(decode(0, 1_800_001), Err(PlacesError::Coordinate)));
}

proptest! {
    #[test]
    fn unpack_of_a_damaged_frame_fails_or_gives_the_same_rows(
        position in any::<prop::sample::Index>(),
        change in 1_u8..,
    ) {
        let sample = Sample::of(&PLACES);
        let mut packed = sample.packed();
        let length = packed.len();
        packed[position.index(length)] ^= change;
        if let Ok(columns) = Columns::unpack(&packed) {
            // A few bits of a frame carry no information.
            prop_assert_eq!(columns, Columns::decode(&sample.file()).unwrap());
        }
    }

    /// Method: lengths and checksum are right, but the columns are noise.
    #[test]
    fn decode_of_noise_never_panics(
        columns in (0_usize..20).prop_flat_map(|rows| (
            vec(0_u8..4, rows),
            vec(any::<u8>(), rows),
            vec(0_u8..9, rows),
            vec(0_u8..46, rows),
        )),
        steps in vec(any::<u8>(), 0..100),
        names in vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..40),
        country_table in "([A-Z]\t[A-Z]\n){0,3}",
    ) {
        let (countries, populations, kinds, widths) = columns;
        let rows = countries.len() as u32;
        let country_table = country_table.into_bytes();
        let sample = Sample {
            rows, country_table, widths, steps, countries, populations, kinds, names,
        };
        if let Ok(columns) = Columns::decode(&sample.file()) {
            for row in 0..columns.len() {
                let _ = (columns.name(row), columns.country(row), columns.position(row));
                let _ = (columns.kind(row), columns.population_approx(row));
            }
        }
    }
}
