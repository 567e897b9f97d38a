//! What a line says. Parsing never fails: what is wrong is a command too, with its reason.

use crate::line::fields;
use crate::location::Location;
use crate::time::ClientTime;

/// A command of a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command<'a> {
    /// No field at all: ignored.
    Empty,
    /// `IAMAT <client> <location> <time>`
    Iamat {
        /// The client's name for itself.
        client: &'a [u8],
        /// Where it is.
        location: Location<'a>,
        /// When it was there, by its own clock.
        time: ClientTime<'a>,
    },
    /// `WHATSAT <client> <radius> <bound>`
    Whatsat {
        /// About whom.
        client: &'a [u8],
        /// How far around.
        radius: Radius,
        /// The most results wanted, 0 to 20.
        bound: u8,
    },
    /// Anything else.
    Malformed(Malformed),
}

/// What is wrong with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The first field is not a command word.
    Word,
    /// The command has not exactly four fields.
    FieldCount,
    /// Not ISO 6709 decimal degrees within range.
    Location,
    /// Not POSIX seconds with at most nine decimals.
    Time,
    /// Not a number of kilometres from 0 to 50.
    Radius,
    /// Not a whole number from 0 to 20.
    Bound,
}

impl<'a> Command<'a> {
    /// Parses a line without its line end.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Self {
        let mut fields = fields(line);
        let Some(word) = fields.next() else { return Self::Empty };
        let parse = match word {
            b"IAMAT" => Self::iamat,
            b"WHATSAT" => Self::whatsat,
            _ => return Self::Malformed(Malformed::Word),
        };
        match (fields.next(), fields.next(), fields.next(), fields.next()) {
            (Some(first), Some(second), Some(third), None) => {
                parse(first, second, third).unwrap_or_else(Self::Malformed)
            }
            _ => Self::Malformed(Malformed::FieldCount),
        }
    }

    fn iamat(client: &'a [u8], location: &'a [u8], time: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self::Iamat {
            client,
            location: Location::parse(location).ok_or(Malformed::Location)?,
            time: ClientTime::parse(time).ok_or(Malformed::Time)?,
        })
    }

    fn whatsat(client: &'a [u8], radius: &'a [u8], bound: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self::Whatsat {
            client,
            radius: Radius::parse(radius).ok_or(Malformed::Radius)?,
            bound: parse_bound(bound).ok_or(Malformed::Bound)?,
        })
    }
}

/// The radius of a `WHATSAT`. The protocol says kilometres, upstreams want metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Radius {
    metres: f64,
}

impl Radius {
    /// Parses kilometres, 0 to 50 inclusive, with an optional `+` and an optional fraction.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(b"+").unwrap_or(text);
        let decimal = Decimal::parse(text)?;
        if !decimal.within(KILOMETRES_MAX) {
            return None;
        }
        Some(Self { metres: decimal.thousandfold() })
    }

    /// In metres, 0 to 50,000.
    #[must_use]
    pub fn metres(self) -> f64 {
        self.metres
    }
}

/// A decimal number without sign or exponent: digits, and behind an optional point more digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal<'a> {
    /// At least one digit.
    pub(crate) whole: &'a [u8],
    /// At least one digit if there is a point, none if not.
    pub(crate) fraction: &'a [u8],
}

impl<'a> Decimal<'a> {
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
            Some(point) => (&text[..point], Some(&text[point + 1..])),
            None => (text, None),
        };
        let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        (digits(whole) && fraction.is_none_or(digits)).then(|| Self { whole, fraction: fraction.unwrap_or_default() })
    }

    /// Whether the number is at most `max`, exactly, however many digits it has.
    pub(crate) fn within(self, max: u8) -> bool {
        let whole = saturating_number(self.whole);
        let max = u64::from(max);
        whole < max || whole == max && self.fraction.iter().all(|&digit| digit == b'0')
    }

    /// A thousand times the number, for numbers that are small: the decimal point is moved three places
    /// before the number becomes a double, so that 10.1 km are 10100 m and not a little less.
    fn thousandfold(self) -> f64 {
        let mut digits = String::with_capacity(self.whole.len() + self.fraction.len() + 4);
        let fraction = self.fraction.iter().copied().chain(std::iter::repeat(b'0'));
        digits.extend(self.whole.iter().copied().chain(fraction.take(3)).map(char::from));
        digits.push('.');
        digits.extend(self.fraction.iter().skip(3).copied().map(char::from));
        digits.parse().unwrap_or_default()
    }
}

/// The value of a run of digits, or the largest number when it is larger.
pub(crate) fn saturating_number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

fn parse_bound(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    u8::try_from(saturating_number(digits)).ok().filter(|&bound| bound <= RESULTS_MAX)
}

/// The largest radius: what both Google endpoints allow.
const KILOMETRES_MAX: u8 = 50;

/// The largest bound: one page of a Nearby Search answer.
const RESULTS_MAX: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_radius_is_exact_in_metres() {
        let metres = |text: &str| Radius::parse(text.as_bytes()).map(Radius::metres);
        assert_eq!(metres("10.1"), Some(10_100.0));
        assert_eq!(metres("+0.0005"), Some(0.5));
        assert_eq!(metres("50.000"), Some(50_000.0));
        assert_eq!(metres("007"), Some(7_000.0));
        for wrong in ["50.0000000000000000000001", "51", "-1", "1e1", "nan", "inf", "", "+", ".5", "5.", "++1", "1_0"] {
            assert_eq!(metres(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_bound_is_a_whole_number_up_to_twenty() {
        assert_eq!(parse_bound(b"+20"), Some(20));
        assert_eq!(parse_bound(b"0"), Some(0));
        for wrong in ["21", "-1", "1.0", "", "+", "99999999999999999999999", "1e1", "276"] {
            assert_eq!(parse_bound(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn each_mistake_has_its_reason() {
        for (line, reason) in [
            ("iamat a +1+1 1", Malformed::Word),
            ("AT Riley +0.1 a +1+1 1", Malformed::Word),
            ("IAMAT a +1+1", Malformed::FieldCount),
            ("WHATSAT a 1 1 1", Malformed::FieldCount),
            ("IAMAT a 1+1 1", Malformed::Location),
            ("IAMAT a +1+1 -1", Malformed::Time),
            ("WHATSAT a 51 1", Malformed::Radius),
            ("WHATSAT a 1 21", Malformed::Bound),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Command::Malformed(reason), "{line}");
        }
    }
}
