//! Fields of a line.
//!
//! Owns the definition of white space. It must not know commands. A line is scanned once.

use crate::word::Word;

/// Iterates over the fields of a line: runs of bytes that are not white space.
///
/// ```
/// assert_eq!(herd_logic::fields(b" WATCH\tkiwi ").collect::<Vec<_>>(), [&b"WATCH"[..], b"kiwi"]);
/// ```
pub fn fields(line: &[u8]) -> Fields<'_> {
    Fields { line, at: 0 }
}

/// Iterator of [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    line: &'a [u8],
    /// Offset of the next byte to scan.
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while is_space(*self.line.get(self.at)?) {
            self.at += 1;
        }
        let start = self.at;
        self.at = end_of_field(self.line, start);
        self.line.get(start..self.at)
    }
}

/// Returns the end of the field that begins at `at`.
#[inline]
fn end_of_field(line: &[u8], mut at: usize) -> usize {
    loop {
        let blank = Word::at(line, at).find_blank();
        at += blank;
        if blank == Word::BYTES {
            continue;
        }
        match line.get(at) {
            // `find_blank` stops at any control character, but only six of them separate fields.
            Some(&byte) if !is_space(byte) => at += 1,
            _ => return at,
        }
    }
}

/// Returns whether a byte is one of the six white space characters of the protocol. No-break space is not.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_separated_by_six_white_space_characters_only() {
        let line = b" \tIAMAT\x0cki\xc2\xa0wi\x0b\x0b+1-1\r9\x1f ";
        assert_eq!(fields(line).collect::<Vec<_>>(), [&b"IAMAT"[..], b"ki\xc2\xa0wi", b"+1-1", b"9\x1f"]);
    }

    proptest! {
        #[test]
        fn fields_agree_with_a_plain_split(bytes in "[ -#\n\r\t\u{b}\u{c}\u{1f}\u{0}\u{a0}]{0,60}") {
            let bytes = bytes.as_bytes();
            let expected = bytes.split(|&byte| is_space(byte)).filter(|field| !field.is_empty());
            prop_assert!(fields(bytes).eq(expected));
        }
    }
}
