//! Commands of clients.
//!
//! Owns the grammar of `docs/protocol.md`. It must not know records or replies. Parsing never fails: an invalid line is a
//! command too, with its reason. The host bounds the line.

use crate::decimal::{Decimal, Digits};
use crate::fields::fields;
use crate::iamat::Iamat;
use crate::location::Location;
use crate::time::ClientTime;

/// Command of a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command<'a> {
    /// A line without fields, which is ignored.
    Empty,
    /// `IAMAT <client> <location> <time>`
    Iamat(Iamat<'a>),
    /// `WHATSAT <client> <radius> <bound>`
    Whatsat {
        /// Name of the client at the centre.
        client: &'a [u8],
        /// Distance from the client.
        radius: Radius,
        /// Maximum number of results, 0 to 20.
        bound: u8,
    },
    /// Any other line.
    Malformed(Malformed),
}

/// Reason why a command is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The first field is not a command word.
    Word,
    /// The command does not have exactly four fields.
    FieldCount,
    /// The location is not ISO 6709 decimal degrees within range.
    Location,
    /// The time is not POSIX seconds with at most nine decimals.
    Time,
    /// The radius is not a number of kilometres from 0 to 50.
    Radius,
    /// The bound is not a whole number from 0 to 20.
    Bound,
}

impl<'a> Command<'a> {
    /// Parses a line without its line end.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Self {
        match Iamat::parse_prefix(line) {
            Some((iamat, end)) if end == line.len() => Self::Iamat(iamat),
            _ => Self::parse_fields(line),
        }
    }

    /// General path: splits the fields first and accepts any white space.
    pub(crate) fn parse_fields(line: &'a [u8]) -> Self {
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
        let location = Location::parse(location).ok_or(Malformed::Location)?;
        let time = ClientTime::parse(time).ok_or(Malformed::Time)?;
        Ok(Self::Iamat(Iamat::new(client, location, time)))
    }

    fn whatsat(client: &'a [u8], radius: &'a [u8], bound: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self::Whatsat {
            client,
            radius: Radius::parse(radius).ok_or(Malformed::Radius)?,
            bound: parse_bound(bound).ok_or(Malformed::Bound)?,
        })
    }
}

/// Radius of a `WHATSAT`. The protocol uses kilometres, upstreams use metres.
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
        Some(Self { metres: decimal.times_thousand() })
    }

    /// Returns the radius in metres, 0 to 50,000.
    #[must_use]
    pub fn metres(self) -> f64 {
        self.metres
    }
}

fn parse_bound(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let number = Digits::run_at(digits, 0);
    if digits.is_empty() || number.end() < digits.len() {
        return None;
    }
    u8::try_from(number.value()).ok().filter(|&bound| bound <= RESULTS_MAX)
}

/// Largest radius: the limit of both Google endpoints.
const KILOMETRES_MAX: u8 = 50;

/// Largest bound: one page of a Nearby Search answer.
const RESULTS_MAX: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radius_is_exact_in_metres() {
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
    fn bound_is_a_whole_number_up_to_twenty() {
        assert_eq!(parse_bound(b"+20"), Some(20));
        assert_eq!(parse_bound(b"0"), Some(0));
        for wrong in ["21", "-1", "1.0", "", "+", "99999999999999999999999", "1e1", "276"] {
            assert_eq!(parse_bound(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn malformed_commands_have_their_reason() {
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
