//! SWAR: eight bytes of a text in one machine word.
//!
//! Owns all bit tricks of the crate; the tests compare each with a plain loop. It must not know lines or fields. A word has
//! eight bytes.
//!
//! Wasmtime checks the deadline of a guest in every iteration of a loop and in every call. Hence long runs are scanned by
//! words, and what parses a line is `inline(always)`; a call would also pass its results through memory.

/// Eight bytes, the first in the least significant position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    /// Number of bytes in a word.
    pub(crate) const BYTES: usize = 8;

    /// Loads the bytes from `at` on, padded with zeros after the end of the text.
    #[inline(always)]
    pub(crate) fn at(text: &[u8], at: usize) -> Self {
        match text.get(at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => Self(u64::from_le_bytes(*bytes)),
            None => Self::last(text, at),
        }
    }

    /// Loads the last bytes of a text, fewer than eight.
    #[cold]
    #[inline(never)]
    fn last(text: &[u8], at: usize) -> Self {
        let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) else { return Self(0) };
        if let Some(bytes) = text.last_chunk() {
            return Self(u64::from_le_bytes(*bytes) >> (8 * (Self::BYTES - rest.len())));
        }
        Self(rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
    }

    /// Writes a number below 10^8 as eight decimal digits.
    #[inline(always)]
    pub(crate) fn of_number(number: u32) -> Self {
        // Splits into two halves of four digits, four of two, eight of one. Each step divides all parts at once, by
        // multiplying with a rounded reciprocal (10486 / 2^20 for 1/100, 103 / 2^10 for 1/10).
        let halves = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
        let hundreds = (halves.wrapping_mul(10_486) >> 20) & 0x0000_007f_0000_007f;
        let quarters = hundreds | halves.wrapping_sub(hundreds.wrapping_mul(100)) << 16;
        let tens = (quarters.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
        let digits = tens | quarters.wrapping_sub(tens.wrapping_mul(10)) << 8;
        Self(digits | repeated(b'0'))
    }

    /// Returns the value of the first `count` bytes, which must be digits; 0 for none.
    #[inline(always)]
    pub(crate) fn number(self, count: usize) -> u64 {
        // Shifts the digits to the end, after zeros. Then combines them to pairs, fours and all eight.
        let digits = (self.0 ^ repeated(b'0')).checked_shl(8 * (Self::BYTES - count) as u32).unwrap_or_default();
        let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
        fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
    }

    /// Returns the bytes.
    #[inline(always)]
    pub(crate) fn bytes(self) -> [u8; Self::BYTES] {
        self.0.to_le_bytes()
    }

    /// Returns the number of leading bytes that are digits.
    #[inline(always)]
    pub(crate) fn digits(self) -> usize {
        // XOR with b'0' maps digits to values below 10. Adding 0x76 carries all greater values into the top bit. A carry into
        // the next byte can only follow a byte that is no digit, and only the first of those counts.
        let values = self.0 ^ repeated(b'0');
        first_top_bit((values.wrapping_add(repeated(0x76)) | values) & TOP_BITS)
    }

    /// Returns the number of leading bytes that are the digit zero.
    #[inline(always)]
    pub(crate) fn zeros(self) -> usize {
        ((self.0 ^ repeated(b'0')).trailing_zeros() / 8) as usize
    }

    /// Returns the position of the first byte equal to `byte`, or 8.
    #[inline(always)]
    pub(crate) fn find(self, byte: u8) -> usize {
        first_top_bit(below(self.0 ^ repeated(byte), 1))
    }

    /// Returns the position of the first byte that is a blank or a control character (at most 0x20), or 8.
    #[inline(always)]
    pub(crate) fn find_blank(self) -> usize {
        first_top_bit(below(self.0, b' ' + 1))
    }
}

/// Repeats a byte in all eight positions.
const fn repeated(byte: u8) -> u64 {
    u64::from_le_bytes([byte; Word::BYTES])
}

/// Sets the top bit of bytes below `limit`. Exact up to the first such byte; its borrow may falsify those after it.
#[inline(always)]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(repeated(limit)) & !word & TOP_BITS
}

/// Returns the position of the first byte whose top bit is set, or 8.
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
        fn word_holds_the_bytes_from_its_position(text in vec(any::<u8>(), 0..20), at in 0..24_usize) {
            let mut expected = [0; Word::BYTES];
            for (byte, &given) in expected.iter_mut().zip(text.iter().skip(at)) {
                *byte = given;
            }
            prop_assert_eq!(Word::at(&text, at).bytes(), expected);
        }

        #[test]
        fn word_searches_agree_with_a_plain_loop(bytes: [u8; Word::BYTES], near in vec(0..64_u8, 8), wanted: u8) {
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
        fn word_numbers_agree_with_their_digits(number in 0..100_000_000_u32, count in 0..=8_usize) {
            let text = format!("{number:08}");
            let word = Word::of_number(number);
            prop_assert_eq!(word.bytes(), text.as_bytes());
            prop_assert_eq!(word.number(count), format!("0{}", &text[..count]).parse::<u64>().unwrap());
        }
    }
}
