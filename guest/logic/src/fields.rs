//! The fields of a line.

use crate::word::Word;

/// The fields of a line: runs of bytes that are not white space.
pub fn fields(line: &[u8]) -> Fields<'_> {
    Fields { line, at: 0 }
}

/// See [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    line: &'a [u8],
    /// Where the rest begins.
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

/// Where the field ends that begins at `at`.
#[inline]
fn end_of_field(line: &[u8], mut at: usize) -> usize {
    loop {
        let blank = Word::at(line, at).find_blank();
        at += blank;
        if blank == Word::BYTES {
            continue;
        }
        match line.get(at) {
            // Other control characters are as good as letters.
            Some(&byte) if !is_space(byte) => at += 1,
            _ => return at,
        }
    }
}

/// Exactly the six white space characters of the protocol. No-break space is not one of them.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_separated_by_the_six_white_space_characters_only() {
        let line = b" \tIAMAT\x0cki\xc2\xa0wi\x0b\x0b+1-1\r9\x1f ";
        assert_eq!(fields(line).collect::<Vec<_>>(), [&b"IAMAT"[..], b"ki\xc2\xa0wi", b"+1-1", b"9\x1f"]);
    }

    proptest! {
        #[test]
        fn fields_are_what_splitting_gives(bytes in "[ -#\n\r\t\u{b}\u{c}\u{1f}\u{0}\u{a0}]{0,60}") {
            let bytes = bytes.as_bytes();
            let expected = bytes.split(|&byte| is_space(byte)).filter(|field| !field.is_empty());
            prop_assert!(fields(bytes).eq(expected));
        }
    }
}
