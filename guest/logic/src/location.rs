//! Locations: ISO 6709 decimal degrees, in the strict subset of the protocol.
//!
//! Owns their grammar and range. It must not know distances or places. A location has at most
//! 128 bytes.

use crate::decimal::Decimal;

/// Location in the client's own bytes: latitude and longitude, each with a sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Location<'a> {
    text: &'a [u8],
    longitude_at: usize,
}

impl<'a> Location<'a> {
    /// Parses `±D[.D]±D[.D]`, latitude within 90 and longitude within 180 degrees, both inclusive. Rejects a height, a
    /// solidus, an exponent and more than 128 bytes.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (location, end) = Self::parse_prefix(text, 0)?;
        (end == text.len()).then_some(location)
    }

    /// Parses the location at `at`. Returns it and its end.
    #[inline(always)]
    pub(crate) fn parse_prefix(text: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let longitude_at = coordinate(text, at, 90)?;
        let end = coordinate(text, longitude_at, 180)?;
        if end - at > LOCATION_BYTES_MAX {
            return None;
        }
        Some((Self { text: text.get(at..end)?, longitude_at: longitude_at - at }, end))
    }

    /// Returns the client's own bytes.
    #[must_use]
    pub fn text(self) -> &'a [u8] {
        self.text
    }

    /// Returns the latitude in degrees, north positive, rounded to a double.
    #[must_use]
    pub fn latitude(self) -> f64 {
        degrees(&self.text[..self.longitude_at])
    }

    /// Returns the longitude in degrees, east positive, rounded to a double.
    #[must_use]
    pub fn longitude(self) -> f64 {
        degrees(&self.text[self.longitude_at..])
    }
}

/// Returns the end of a signed number of at most `max` degrees that begins at `at`.
#[inline(always)]
fn coordinate(text: &[u8], at: usize, max: u8) -> Option<usize> {
    let (b'+' | b'-') = text.get(at)? else { return None };
    let (degrees, end) = Decimal::parse_prefix(text, at + 1)?;
    degrees.within(max).then_some(end)
}

/// Returns the value of a signed decimal. Adding zero turns -0 into 0, because upstreams receive these numbers as text.
fn degrees(text: &[u8]) -> f64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()).unwrap_or_default() + 0.0
}

/// Bytes of a location. Every answer about a client copies its location: a line of zeros must not be copied by each.
const LOCATION_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_requires_signs_and_range() {
        let zeros = |count| format!("+34.{}-118", "0".repeat(count));
        assert!(Location::parse(zeros(LOCATION_BYTES_MAX - 8).as_bytes()).is_some());
        assert!(Location::parse(zeros(LOCATION_BYTES_MAX - 7).as_bytes()).is_none());
        for right in ["+34.068930-118.445127", "+34-118", "+90.000-180.0", "-90+180", "-0-0", "+00034.5+0"] {
            assert!(Location::parse(right.as_bytes()).is_some(), "{right}");
        }
        for wrong in [
            "",
            "+",
            "+-",
            "34-118",
            "+34",
            "+34.-118",
            "+.5-1",
            "+34.0-118.4+15.0",
            "+34.0-118.4/",
            "+-34.0-118.0",
            "+3e1-1e2",
            "+34.0,-118.0",
            "+90.0000000000000000000001+0",
            "+91+0",
            "+0+181",
            "+0-180.000000000000000001",
            "Los_Angeles",
            "+nan+inf",
            "+1+1 ",
            "+1_0+1",
        ] {
            assert!(Location::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn degrees_have_the_sign_of_the_hemisphere() {
        let sydney = Location::parse(b"-33.865000+151.209000").unwrap();
        assert_eq!((sydney.latitude(), sydney.longitude()), (-33.865, 151.209));
        let null = Location::parse(b"-0.0-0").unwrap();
        assert_eq!((null.latitude().to_string(), null.longitude().to_string()), ("0".into(), "0".into()));
    }
}
