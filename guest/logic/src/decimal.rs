//! Decimal numbers in a line.
//!
//! Owns digits and the decimal point. It must not know units or ranges of fields. The line bounds the number of digits;
//! values saturate.

use crate::word::Word;

/// Decimal number without sign or exponent: digits, optionally followed by a point and more digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'a> {
    /// At least one digit.
    pub(crate) whole: Digits<'a>,
    /// At least one digit after a point, none without one.
    pub(crate) fraction: Digits<'a>,
}

impl<'a> Decimal<'a> {
    /// Parses a text that is one number.
    #[inline]
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let (decimal, end) = Self::parse_prefix(text, 0)?;
        (end == text.len()).then_some(decimal)
    }

    /// Parses the number at `at`. Returns it and its end.
    #[inline(always)]
    pub(crate) fn parse_prefix(text: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let whole = Digits::run_at(text, at);
        if whole.count() == 0 {
            return None;
        }
        if text.get(whole.end()) != Some(&b'.') {
            return Some((Self { whole, fraction: Digits::none() }, whole.end()));
        }
        let fraction = Digits::run_at(text, whole.end() + 1);
        (fraction.count() > 0).then_some((Self { whole, fraction }, fraction.end()))
    }

    /// Returns whether the number is at most `max`. Exact for any number of digits.
    #[inline(always)]
    pub(crate) fn within(self, max: u8) -> bool {
        let max = u64::from(max);
        let whole = self.whole.value();
        whole < max || whole == max && self.fraction.text().iter().all(|&digit| digit == b'0')
    }

    /// Returns the number times a thousand, for small numbers. Moves the decimal point by three places before the conversion
    /// to a double, so that 10.1 km are 10100 m and not slightly less.
    pub(crate) fn times_thousand(self) -> f64 {
        let (whole, fraction) = (self.whole.text(), self.fraction.text());
        let mut digits = String::with_capacity(whole.len() + fraction.len() + 4);
        let moved = fraction.iter().copied().chain(std::iter::repeat(b'0'));
        digits.extend(whole.iter().copied().chain(moved.take(3)).map(char::from));
        digits.push('.');
        digits.extend(fraction.iter().skip(3).copied().map(char::from));
        digits.parse().unwrap_or_default()
    }
}

/// Run of digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits<'a> {
    /// The text around the run, since a word of digits is loaded together with the bytes after it.
    line: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Digits<'a> {
    /// Returns an empty run.
    #[inline(always)]
    fn none() -> Self {
        Self { line: &[], start: 0, end: 0 }
    }

    /// Returns the longest run at `at`, which may be empty.
    #[inline(always)]
    pub(crate) fn run_at(line: &'a [u8], at: usize) -> Self {
        let mut end = at;
        loop {
            let count = Word::at(line, end).digits();
            end += count;
            if count < Word::BYTES {
                return Self { line, start: at, end };
            }
        }
    }

    /// Returns the end of the run.
    #[inline(always)]
    pub(crate) fn end(self) -> usize {
        self.end
    }

    /// Returns the number of digits.
    #[inline(always)]
    pub(crate) fn count(self) -> usize {
        self.end - self.start
    }

    /// Returns the digits.
    pub(crate) fn text(self) -> &'a [u8] {
        self.line.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns the value, or `u64::MAX` if it exceeds that; 0 for an empty run.
    #[inline(always)]
    pub(crate) fn value(self) -> u64 {
        let word = |at| Word::at(self.line, at);
        match self.count() {
            count @ ..=8 => word(self.start).number(count),
            count @ 9..=16 => {
                let rest = count - Word::BYTES;
                let (first, last) = (word(self.start), word(self.start + Word::BYTES));
                // Wrapping saves the overflow check: sixteen digits stay far below 2^64.
                first.number(Word::BYTES).wrapping_mul(POWERS_OF_TEN[rest]).wrapping_add(last.number(rest))
            }
            _ => saturating_number(self.text()),
        }
    }
}

/// Returns the value of a run of digits, or `u64::MAX` if it exceeds that.
#[cold]
fn saturating_number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit ^ b'0')))
}

const POWERS_OF_TEN: [u64; Word::BYTES + 1] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn run_of_digits_agrees_with_a_plain_loop(text in "[0-9]{0,45}[0-9. x]{0,3}", at in 0..48_usize) {
            let text = text.as_bytes();
            let rest = text.get(at..).unwrap_or_default();
            let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            let run = Digits::run_at(text, at);
            prop_assert_eq!((run.text(), run.end()), (&rest[..count], at + count));
            prop_assert_eq!(run.value(), saturating_number(&rest[..count]));
        }

        #[test]
        fn decimal_agrees_with_its_definition(text in "[0-9]{0,21}[.x]?[0-9]{0,21}[.]?") {
            let (whole, fraction) = match text.split_once('.') {
                Some((whole, fraction)) => (whole, Some(fraction)),
                None => (&*text, None),
            };
            let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let valid = digits(whole) && fraction.is_none_or(digits);
            let parsed = Decimal::parse(text.as_bytes());
            prop_assert_eq!(parsed.is_some(), valid);
            if let Some(parsed) = parsed {
                prop_assert_eq!(parsed.whole.text(), whole.as_bytes());
                prop_assert_eq!(parsed.fraction.text(), fraction.unwrap_or_default().as_bytes());
            }
        }

        #[test]
        fn within_is_exact(whole in 0..200_u64, fraction in "0{0,30}[1-9]?", max: u8) {
            let text = format!("{whole}.0{fraction}");
            let more = fraction.ends_with(|digit| digit > '0');
            let expected = whole < u64::from(max) || whole == u64::from(max) && !more;
            prop_assert_eq!(Decimal::parse(text.as_bytes()).unwrap().within(max), expected);
        }
    }
}
