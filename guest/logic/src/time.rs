//! Times as exact decimal nanoseconds.
//!
//! Owns reading client times, and reading and writing skews. It must not read a clock. A time has at most 18 and 9 digits.
//!
//! Doubles and text do not work: a double loses up to 240 ns, and text orders `999999999.5` after `1000000000.5`.

use crate::decimal::Decimal;
use crate::word::Word;

/// Time of a client, with the client's own bytes: POSIX seconds with up to nine decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTime<'a> {
    text: &'a [u8],
    ns: u128,
}

impl<'a> ClientTime<'a> {
    /// Parses digits, at most 18, with an optional fraction of one to nine digits.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (time, end) = Self::parse_prefix(text, 0)?;
        (end == text.len()).then_some(time)
    }

    /// Parses the time at `at`. Returns it and its end.
    #[inline(always)]
    pub(crate) fn parse_prefix(text: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let (decimal, end) = Decimal::parse_prefix(text, at)?;
        let Decimal { whole, fraction } = decimal;
        if whole.count() > WHOLE_DIGITS_MAX {
            return None;
        }
        let missing = FRACTION_DIGITS_MAX.checked_sub(fraction.count())?;
        // Cannot wrap: nine digits stay below a second.
        let fraction_ns = fraction.value().wrapping_mul(POWERS_OF_TEN[missing]);
        let seconds = whole.value();
        // Times before the year 2554 fit into 64 bits. Testing the seconds saves the multiplication in 128 bits, which a test
        // of the product would need.
        let ns = if seconds < SECONDS_64_MAX {
            u128::from(seconds * NS_PER_S_64 + fraction_ns)
        } else {
            u128::from(seconds) * NS_PER_S + u128::from(fraction_ns)
        };
        Some((Self { text: text.get(at..end)?, ns }, end))
    }

    /// Returns the client's own bytes.
    #[must_use]
    pub fn text(self) -> &'a [u8] {
        self.text
    }

    /// Returns nanoseconds since the Unix epoch, below 10^27.
    #[must_use]
    pub fn ns(self) -> u128 {
        self.ns
    }
}

/// Writes receipt time minus client time in seconds, always with a sign and nine decimals.
///
/// ```
/// let mut out = vec![];
/// herd_logic::write_skew(&mut out, 1_000_000_000, 1_500_000_000);
/// assert_eq!(out, b"-0.500000000");
/// ```
pub fn write_skew(out: &mut Vec<u8>, received_ns: u64, client_ns: u128) {
    let received_ns = u128::from(received_ns);
    let (sign, ns) =
        if received_ns >= client_ns { (b'+', received_ns - client_ns) } else { (b'-', client_ns - received_ns) };
    // A skew below 584 years fits into 64 bits. Division in 128 bits would dominate the cost of this function.
    let (seconds, fraction_ns) = match u64::try_from(ns) {
        Ok(ns) => (ns / NS_PER_S_64, ns % NS_PER_S_64),
        Err(_) => {
            let low = |part: u128| u64::try_from(part).unwrap_or_default();
            (low(ns / NS_PER_S), low(ns % NS_PER_S))
        }
    };
    out.push(sign);
    write_number(out, seconds);
    out.push(b'.');
    write_nine_digits(out, fraction_ns);
}

/// Writes a number without leading zeros.
#[inline(always)]
fn write_number(out: &mut Vec<u8>, number: u64) {
    match u32::try_from(number) {
        Ok(number @ ..EIGHT_DIGITS) => {
            let digits = Word::of_number(number);
            // Zero keeps its last digit.
            let zeros = digits.zeros().min(Word::BYTES - 1);
            out.extend_from_slice(&digits.bytes()[zeros..]);
        }
        _ => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

/// Writes nanoseconds below a second, with leading zeros.
#[inline(always)]
fn write_nine_digits(out: &mut Vec<u8>, number: u64) {
    let number = u32::try_from(number).unwrap_or_default();
    out.push(b'0' + (number / EIGHT_DIGITS) as u8);
    out.extend_from_slice(&Word::of_number(number % EIGHT_DIGITS).bytes());
}

/// Parses a skew as [`write_skew`] writes it, in nanoseconds.
pub(crate) fn parse_skew(text: &[u8]) -> Option<i128> {
    let (&sign, magnitude) = text.split_first()?;
    skew(sign, ClientTime::parse(magnitude)?)
}

/// Returns the skew of a sign and a number of seconds, in nanoseconds.
#[inline(always)]
pub(crate) fn skew(sign: u8, magnitude: ClientTime<'_>) -> Option<i128> {
    let ns = i128::try_from(magnitude.ns()).ok()?;
    match sign {
        b'+' => Some(ns),
        b'-' => Some(-ns),
        _ => None,
    }
}

pub(crate) const NS_PER_S: u128 = 1_000_000_000;
const NS_PER_S_64: u64 = 1_000_000_000;
const SECONDS_64_MAX: u64 = u64::MAX / NS_PER_S_64;

/// Digits of whole seconds. More would exceed the 96 bits of nanoseconds in a rank.
const WHOLE_DIGITS_MAX: usize = 18;

const FRACTION_DIGITS_MAX: usize = 9;

/// Bound for numbers of at most eight digits.
const EIGHT_DIGITS: u32 = 100_000_000;

const POWERS_OF_TEN: [u64; FRACTION_DIGITS_MAX + 1] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ns(text: &str) -> Option<u128> {
        ClientTime::parse(text.as_bytes()).map(ClientTime::ns)
    }

    #[test]
    fn time_is_exact_to_the_nanosecond() {
        assert_eq!(ns("1520023934.918963997"), Some(1_520_023_934_918_963_997));
        assert_eq!(ns("1000000000.50"), ns("1000000000.5"));
        assert!(ns("999999999.5") < ns("1000000000.5"));
        assert_eq!(ns("999999999999999999.999999999"), Some(999_999_999_999_999_999_999_999_999));
        for wrong in [
            "",
            ".",
            "1.",
            ".1",
            "-1",
            "+1",
            "1e3",
            "1_0",
            "nan",
            "inf",
            "1.0000000000",
            "1000000000000000000",
            "1.2.3",
        ] {
            assert_eq!(ns(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn skew_has_a_sign_and_nine_decimals() {
        let skew = |received, client| {
            let mut out = vec![];
            write_skew(&mut out, received, client);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(skew(1_263_873_386, 1_000_000_000), "+0.263873386");
        assert_eq!(skew(0, 1_000_000_312_500), "-1000.000312500");
        assert_eq!(skew(7, 7), "+0.000000000");
        assert_eq!(skew(1, 10_u128.pow(27) - 1), "-999999999999999999.999999998");
    }

    proptest! {
        #[test]
        fn parsing_returns_the_written_skew(received: u64, client in 0..10_u128.pow(27)) {
            let mut out = vec![];
            write_skew(&mut out, received, client);
            let expected = i128::from(received) - i128::try_from(client).unwrap();
            prop_assert_eq!(parse_skew(&out), Some(expected));
        }
    }
}
