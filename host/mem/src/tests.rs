//! Every length and overlap up to a few blocks, beside what slices do.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

/// Copies within a buffer, with the function under test.
fn copied(mut bytes: Vec<u8>, from: usize, to: usize, length: usize) -> Vec<u8> {
    assert!(from + length <= bytes.len() && to + length <= bytes.len());
    let start = bytes.as_mut_ptr();
    // SAFETY: both ranges lie in the buffer.
    unsafe { copy(start.add(to), start.add(from), length) };
    bytes
}

fn compared(a: &[u8], b: &[u8]) -> Ordering {
    assert_eq!(a.len(), b.len());
    // SAFETY: both have this length.
    unsafe { compare(a.as_ptr(), b.as_ptr(), a.len()) }.cmp(&0)
}

fn numbered(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn copy_is_right_for_every_length_and_overlap() {
    const ROOM: usize = 700;
    for length in 0..=330 {
        for (from, to) in [(0, 365), (365, 0), (17, 17)]
            .into_iter()
            .chain((0..=length.min(200)).flat_map(|by| [(100, 100 + by), (100 + by, 100)]))
        {
            let mut expected = numbered(ROOM);
            expected.copy_within(from..from + length, to);
            assert!(copied(numbered(ROOM), from, to, length) == expected, "{length} bytes from {from} to {to}");
        }
    }
}

#[test]
fn compare_finds_a_difference_at_every_place() {
    for length in 0..=100 {
        let a = numbered(length);
        assert_eq!(compared(&a, &a), Ordering::Equal, "{length} bytes");
        for at in 0..length {
            let mut b = a.clone();
            b[at] = b[at].wrapping_add(128);
            // What comes behind the first difference does not count.
            if let Some(next) = b.get_mut(at + 1) {
                *next = !*next;
            }
            assert_eq!(compared(&a, &b), a.cmp(&b), "{length} bytes, byte {at}");
        }
    }
}

proptest! {
    #[test]
    fn copy_and_compare_do_what_slices_do(
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        places in any::<[proptest::sample::Index; 3]>(),
    ) {
        let [from, to, length] = places.map(|place| place.index(bytes.len() + 1));
        let length = length.min(bytes.len() - from).min(bytes.len() - to);
        let mut expected = bytes.clone();
        expected.copy_within(from..from + length, to);
        prop_assert_eq!(copied(bytes.clone(), from, to, length), expected);
        let (a, b) = (&bytes[from..from + length], &bytes[to..to + length]);
        prop_assert_eq!(compared(a, b), a.cmp(b));
    }
}
