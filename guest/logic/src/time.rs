//! Times as exact decimal nanoseconds. As a double a time loses 240 ns, as text it orders `999999999.5`
//! after `1000000000.5`.

use crate::decimal::Decimal;
use crate::word::Word;

/// A client's time in its own words: POSIX seconds with up to nine decimals.
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

    /// The time that stands in a text at `at`, and where it ends.
    #[inline(always)]
    pub(crate) fn parse_prefix(text: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let (decimal, end) = Decimal::parse_prefix(text, at)?;
        let Decimal { whole, fraction } = decimal;
        if whole.count() > WHOLE_DIGITS_MAX {
            return None;
        }
        let missing = FRACTION_DIGITS_MAX.checked_sub(fraction.count())?;
        // Below a second.
        let fraction_ns = fraction.value().wrapping_mul(POWERS_OF_TEN[missing]);
        let seconds = whole.value();
        // Times before the year 2554 fit into 64 bits, and a check after the product would cost one of 128.
        let ns = if seconds < SECONDS_64_MAX {
            u128::from(seconds * NS_PER_S_64 + fraction_ns)
        } else {
            u128::from(seconds) * NS_PER_S + u128::from(fraction_ns)
        };
        Some((Self { text: text.get(at..end)?, ns }, end))
    }

    /// The client's own bytes.
    #[must_use]
    pub fn text(self) -> &'a [u8] {
        self.text
    }

    /// Nanoseconds since the Unix epoch, below 10^27.
    #[must_use]
    pub fn ns(self) -> u128 {
        self.ns
    }
}

/// Writes receipt minus client time in seconds: always signed, fixed notation, nine decimals.
pub fn write_skew(out: &mut Vec<u8>, received_ns: u64, client_ns: u128) {
    let received_ns = u128::from(received_ns);
    let (sign, ns) =
        if received_ns >= client_ns { (b'+', received_ns - client_ns) } else { (b'-', client_ns - received_ns) };
    // Any skew of less than 584 years fits into 64 bits, and dividing 128 bits is what this would spend its time on.
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

/// Writes a number without zeros in front.
#[inline(always)]
fn write_number(out: &mut Vec<u8>, number: u64) {
    match u32::try_from(number) {
        Ok(number @ ..EIGHT_DIGITS) => {
            let digits = Word::of_number(number);
            // The last digit stands even if it is a zero.
            let zeros = digits.zeros().min(Word::BYTES - 1);
            out.extend_from_slice(&digits.bytes()[zeros..]);
        }
        _ => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

/// Writes a number of nanoseconds below a second, with zeros in front.
#[inline(always)]
fn write_nine_digits(out: &mut Vec<u8>, number: u64) {
    let number = u32::try_from(number).unwrap_or_default();
    out.push(b'0' + (number / EIGHT_DIGITS) as u8);
    out.extend_from_slice(&Word::of_number(number % EIGHT_DIGITS).bytes());
}

/// Parses what [`write_skew`] writes: the skew in nanoseconds.
pub(crate) fn parse_skew(text: &[u8]) -> Option<i128> {
    let (&sign, magnitude) = text.split_first()?;
    skew(sign, ClientTime::parse(magnitude)?)
}

/// The skew that a sign and a number of seconds come to.
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

/// More would not fit into 96 bits of nanoseconds, which is what a rank has room for.
const WHOLE_DIGITS_MAX: usize = 18;

const FRACTION_DIGITS_MAX: usize = 9;

/// A number below this has at most eight digits.
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
    fn a_time_is_exact_to_the_nanosecond() {
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
    fn a_skew_is_always_signed_and_has_nine_decimals() {
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
        fn a_skew_reads_back_as_it_was_written(received: u64, client in 0..10_u128.pow(27)) {
            let mut out = vec![];
            write_skew(&mut out, received, client);
            let expected = i128::from(received) - i128::try_from(client).unwrap();
            prop_assert_eq!(parse_skew(&out), Some(expected));
        }
    }
}
