//! Decimal numbers as they stand in a line.

use crate::word::Word;

/// A decimal number without sign or exponent: digits, and behind an optional point more digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'a> {
    /// At least one digit.
    pub(crate) whole: Digits<'a>,
    /// At least one digit if there is a point, none if not.
    pub(crate) fraction: Digits<'a>,
}

impl<'a> Decimal<'a> {
    /// The number that the whole text is.
    #[inline]
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let (decimal, end) = Self::parse_prefix(text, 0)?;
        (end == text.len()).then_some(decimal)
    }

    /// The number that stands in the text at `at`, and where it ends.
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

    /// Whether the number is at most `max`, exactly, however many digits it has.
    #[inline(always)]
    pub(crate) fn within(self, max: u8) -> bool {
        let max = u64::from(max);
        let whole = self.whole.value();
        whole < max || whole == max && self.fraction.text().iter().all(|&digit| digit == b'0')
    }

    /// A thousand times the number, for numbers that are small: the decimal point is moved three places
    /// before the number becomes a double, so that 10.1 km are 10100 m and not a little less.
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

/// A run of digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits<'a> {
    /// What they stand in: a word of digits is read with what follows it.
    line: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Digits<'a> {
    /// An empty run.
    #[inline(always)]
    fn none() -> Self {
        Self { line: &[], start: 0, end: 0 }
    }

    /// The longest run in the text at `at`. May be empty.
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

    /// Where it ends.
    #[inline(always)]
    pub(crate) fn end(self) -> usize {
        self.end
    }

    /// How many digits there are.
    #[inline(always)]
    pub(crate) fn count(self) -> usize {
        self.end - self.start
    }

    /// The digits.
    pub(crate) fn text(self) -> &'a [u8] {
        self.line.get(self.start..self.end).unwrap_or_default()
    }

    /// What they come to, or the largest number when they come to more; 0 if there are none.
    #[inline(always)]
    pub(crate) fn value(self) -> u64 {
        let word = |at| Word::at(self.line, at);
        match self.count() {
            count @ ..=8 => word(self.start).number(count),
            count @ 9..=16 => {
                let rest = count - Word::BYTES;
                let (first, last) = (word(self.start), word(self.start + Word::BYTES));
                // Sixteen digits do not come near 2^64.
                first.number(Word::BYTES).wrapping_mul(POWERS_OF_TEN[rest]).wrapping_add(last.number(rest))
            }
            _ => saturating_number(self.text()),
        }
    }
}

/// The value of a run of digits, or the largest number when it is larger.
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
        fn a_run_of_digits_ends_where_a_loop_ends_it(text in "[0-9]{0,45}[0-9. x]{0,3}", at in 0..48_usize) {
            let text = text.as_bytes();
            let rest = text.get(at..).unwrap_or_default();
            let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            let run = Digits::run_at(text, at);
            prop_assert_eq!((run.text(), run.end()), (&rest[..count], at + count));
            prop_assert_eq!(run.value(), saturating_number(&rest[..count]));
        }

        #[test]
        fn a_decimal_is_what_its_definition_says(text in "[0-9]{0,21}[.x]?[0-9]{0,21}[.]?") {
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
        fn a_decimal_is_within_a_limit_exactly(whole in 0..200_u64, fraction in "0{0,30}[1-9]?", max: u8) {
            let text = format!("{whole}.0{fraction}");
            let more = fraction.ends_with(|digit| digit > '0');
            let expected = whole < u64::from(max) || whole == u64::from(max) && !more;
            prop_assert_eq!(Decimal::parse(text.as_bytes()).unwrap().within(max), expected);
        }
    }
}
