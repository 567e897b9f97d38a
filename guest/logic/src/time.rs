//! Times as exact decimal nanoseconds. As a double a time loses 240 ns, as text it orders `999999999.5`
//! after `1000000000.5`.

use crate::command::{Decimal, saturating_number};

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
        let decimal = Decimal::parse(text)?;
        if decimal.whole.len() > WHOLE_DIGITS_MAX || decimal.fraction.len() > FRACTION_DIGITS_MAX {
            return None;
        }
        let missing = FRACTION_DIGITS_MAX - decimal.fraction.len();
        let fraction_ns = (0..missing).fold(saturating_number(decimal.fraction), |ns, _| ns * 10);
        let seconds = saturating_number(decimal.whole);
        // Times before the year 2554 fit into 64 bits.
        let ns = match seconds.checked_mul(NS_PER_S_64).and_then(|ns| ns.checked_add(fraction_ns)) {
            Some(ns) => u128::from(ns),
            None => u128::from(seconds) * NS_PER_S + u128::from(fraction_ns),
        };
        Some(Self { text, ns })
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
    write_digits(out, seconds, 1);
    out.push(b'.');
    write_digits(out, fraction_ns, FRACTION_DIGITS_MAX);
}

/// Writes a number in decimal, with zeros in front if it has fewer digits than `width`.
fn write_digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    // A 64-bit number has 20 digits at most.
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while number > 0 {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

/// Parses what [`write_skew`] writes: the skew in nanoseconds.
pub(crate) fn parse_skew(text: &[u8]) -> Option<i128> {
    let (sign, magnitude) = text.split_first()?;
    let ns = i128::try_from(ClientTime::parse(magnitude)?.ns()).ok()?;
    match sign {
        b'+' => Some(ns),
        b'-' => Some(-ns),
        _ => None,
    }
}

pub(crate) const NS_PER_S: u128 = 1_000_000_000;
const NS_PER_S_64: u64 = 1_000_000_000;

/// More would not fit into 96 bits of nanoseconds, which is what a rank has room for.
const WHOLE_DIGITS_MAX: usize = 18;

const FRACTION_DIGITS_MAX: usize = 9;

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
