//! Eight bytes of a text as one number.
//!
//! A guest pays for each turn of a loop, because each looks whether its time is up. So what is long is read by words. The
//! tricks with bits stand here and nowhere else, each beside what it comes to. What reads a line is inlined always and
//! not as the compiler likes: a call in a guest looks at the time as well, and hands results over in memory.

/// Eight bytes, the first in the lowest place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    /// The bytes of a word.
    pub(crate) const BYTES: usize = 8;

    /// The bytes from `at` on, with zeros for what is behind the end of the text.
    #[inline(always)]
    pub(crate) fn at(text: &[u8], at: usize) -> Self {
        match text.get(at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => Self(u64::from_le_bytes(*bytes)),
            None => Self::last(text, at),
        }
    }

    /// The last bytes of a text, fewer than a word.
    #[cold]
    #[inline(never)]
    fn last(text: &[u8], at: usize) -> Self {
        let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) else { return Self(0) };
        if let Some(bytes) = text.last_chunk() {
            return Self(u64::from_le_bytes(*bytes) >> (8 * (Self::BYTES - rest.len())));
        }
        Self(rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
    }

    /// The word of a number below 10^8, as eight decimal digits.
    #[inline(always)]
    pub(crate) fn of_number(number: u32) -> Self {
        // Halves, then quarters, then digits side by side; each step divides in all places at once.
        let halves = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
        let hundreds = (halves.wrapping_mul(10_486) >> 20) & 0x0000_007f_0000_007f;
        let quarters = hundreds | halves.wrapping_sub(hundreds.wrapping_mul(100)) << 16;
        let tens = (quarters.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
        let digits = tens | quarters.wrapping_sub(tens.wrapping_mul(10)) << 8;
        Self(digits | repeated(b'0'))
    }

    /// The number that the first `count` bytes, all of them digits, come to. None come to 0.
    #[inline(always)]
    pub(crate) fn number(self, count: usize) -> u64 {
        // The digits move to the end, behind zeros; then pairs, fours and all eight are put together.
        let digits = (self.0 ^ repeated(b'0')).checked_shl(8 * (Self::BYTES - count) as u32).unwrap_or_default();
        let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
        fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
    }

    /// The bytes.
    #[inline(always)]
    pub(crate) fn bytes(self) -> [u8; Self::BYTES] {
        self.0.to_le_bytes()
    }

    /// How many of the first bytes are digits.
    #[inline(always)]
    pub(crate) fn digits(self) -> usize {
        // A digit is below 10 without its upper half; with 0x76 more, all above that reach the top bit.
        let values = self.0 ^ repeated(b'0');
        first_top_bit((values.wrapping_add(repeated(0x76)) | values) & TOP_BITS)
    }

    /// How many of the first bytes are the digit zero.
    #[inline(always)]
    pub(crate) fn zeros(self) -> usize {
        ((self.0 ^ repeated(b'0')).trailing_zeros() / 8) as usize
    }

    /// The place of the first byte that is `byte`, or 8.
    #[inline(always)]
    pub(crate) fn find(self, byte: u8) -> usize {
        first_top_bit(below(self.0 ^ repeated(byte), 1))
    }

    /// The place of the first byte up to the blank, or 8.
    #[inline(always)]
    pub(crate) fn find_blank(self) -> usize {
        first_top_bit(below(self.0, b' ' + 1))
    }
}

/// A byte in all eight places.
const fn repeated(byte: u8) -> u64 {
    u64::from_le_bytes([byte; Word::BYTES])
}

/// The top bits of the bytes that are below `limit`, up to the first of them; what is behind it may be wrong.
#[inline(always)]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(repeated(limit)) & !word & TOP_BITS
}

/// The place of the first byte whose top bit is set, or 8.
#[inline(always)]
fn first_top_bit(bits: u64) -> usize {
    (bits.trailing_zeros() / 8) as usize
}

const TOP_BITS: u64 = repeated(0x80);

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_word_is_the_bytes_from_its_place_on(text in vec(any::<u8>(), 0..20), at in 0..24_usize) {
            let mut expected = [0; Word::BYTES];
            for (byte, &given) in expected.iter_mut().zip(text.iter().skip(at)) {
                *byte = given;
            }
            prop_assert_eq!(Word::at(&text, at).bytes(), expected);
        }

        #[test]
        fn a_word_finds_what_a_loop_finds(bytes: [u8; Word::BYTES], near in vec(0..64_u8, 8), wanted: u8) {
            for bytes in [&bytes[..], &near] {
                let word = Word::at(bytes, 0);
                let count = |matches: fn(&u8) -> bool| bytes.iter().position(|byte| !matches(byte)).unwrap_or(8);
                prop_assert_eq!(word.digits(), count(u8::is_ascii_digit));
                prop_assert_eq!(word.zeros(), count(|&byte| byte == b'0'));
                prop_assert_eq!(word.find_blank(), count(|&byte| byte > b' '));
                for wanted in [wanted, bytes[5]] {
                    prop_assert_eq!(word.find(wanted), bytes.iter().position(|&byte| byte == wanted).unwrap_or(8));
                }
            }
        }

        #[test]
        fn a_number_is_written_and_read_as_its_digits(number in 0..100_000_000_u32, count in 0..=8_usize) {
            let text = format!("{number:08}");
            let word = Word::of_number(number);
            prop_assert_eq!(word.bytes(), text.as_bytes());
            prop_assert_eq!(word.number(count), format!("0{}", &text[..count]).parse::<u64>().unwrap());
        }
    }
}
