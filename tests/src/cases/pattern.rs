//! Matching of a reply against its pattern.

use serde_json::Value;

use super::text::{Part, Text, Values};

/// Wildcards: names for parts of a reply that are not known beforehand.
pub(super) const WILD: [&str; 3] = ["skew", "json", "any"];

/// Pattern of a whole reply.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    /// Body sent by the stand-in for places.
    Body(Vec<u8>),
    Skew,
    Json,
    Any,
}

/// Values of the wildcards; for each kind the last one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) skew: Option<f64>,
    pub(super) json: Option<Value>,
}

impl Pattern {
    pub(super) fn new(text: &Text, values: &Values) -> Self {
        let piece = |part: &Part| match part {
            Part::Bytes(bytes) => Piece::Bytes(bytes.clone()),
            Part::Name(name) => match &**name {
                "skew" => Piece::Skew,
                "json" => Piece::Json,
                "any" => Piece::Any,
                "body" => Piece::Body(values.get("body").cloned().unwrap_or_default()),
                name => Piece::Bytes(values.get(name).cloned().unwrap_or_default()),
            },
        };
        Self(text.0.iter().map(piece).collect())
    }

    /// Matches all of these bytes and returns the values of the wildcards.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<Found> {
        let mut found = Found::default();
        find(&self.0, bytes, &mut found).then_some(found)
    }
}

/// Matches the pieces in order, with backtracking; `{any}` tries the longest match first.
fn find(pieces: &[Piece], bytes: &[u8], found: &mut Found) -> bool {
    let Some((piece, rest)) = pieces.split_first() else {
        return bytes.is_empty();
    };
    match piece {
        Piece::Bytes(wanted) => bytes.strip_prefix(&**wanted).is_some_and(|behind| find(rest, behind, found)),
        Piece::Body(wanted) => bytes.strip_prefix(&**wanted).is_some_and(|behind| {
            found.json = serde_json::from_slice(wanted).ok();
            find(rest, behind, found)
        }),
        Piece::Skew => skew(bytes).is_some_and(|length| {
            found.skew = str::from_utf8(&bytes[..length]).ok().and_then(|text| text.parse().ok());
            find(rest, &bytes[length..], found)
        }),
        Piece::Json => json(bytes).is_some_and(|(value, length)| {
            found.json = Some(value);
            find(rest, &bytes[length..], found)
        }),
        Piece::Any => (0..=bytes.len()).rev().any(|length| find(rest, &bytes[length..], found)),
    }
}

/// Length of a skew at the beginning of the bytes: a sign, digits, a point, nine digits.
fn skew(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.first().filter(|sign| b"+-".contains(sign))?;
    let whole = digits(1);
    let point = 1 + whole;
    bytes.get(point).filter(|point| **point == b'.')?;
    (whole > 0 && digits(point + 1) == 9).then_some(point + 10)
}

/// JSON object without an empty line at the beginning of the bytes, and its length.
fn json(bytes: &[u8]) -> Option<(Value, usize)> {
    bytes.first().filter(|first| **first == b'{')?;
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter();
    let value = values.next()?.ok()?;
    let length = values.byte_offset();
    let has_empty_line = bytes[..length].windows(2).any(|two| two == b"\n\n");
    (!has_empty_line).then_some((value, length))
}

#[cfg(test)]
mod tests {
    use super::super::text::Words;
    use super::*;

    fn found(pattern: &str, reply: &str) -> Option<Found> {
        let mut words = Words::default();
        words.add(pattern).unwrap();
        Pattern::new(&words.text().unwrap(), &Values::new()).find(reply.as_bytes())
    }

    #[test]
    fn skew_has_a_sign_and_nine_decimals() {
        let skew = |text: &str| found(r#""AT {skew} x""#, &format!("AT {text} x")).and_then(|found| found.skew);
        assert_eq!(skew("+0.500000000"), Some(0.5));
        assert_eq!(skew("-1000.000000001"), Some(-1000.000000001));
        for wrong in ["0.500000000", "+0.50000000", "+0.5000000000", "+.500000000", "+-1.000000000", "+1e-05", "+1", ""]
        {
            assert_eq!(skew(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn json_is_one_object_without_empty_lines() {
        let is_json = |text: &str| found(r#""{json}\n\n""#, &format!("{text}\n\n")).is_some();
        assert!(is_json("{\n \"a\" : [ 1,\n2 ],\"b\":\"}\\n\\n\"}"));
        for wrong in ["[]", "{", "{\n\n}", "{}\n", " {}", "{}{}", "{\"a\":1,}"] {
            assert!(!is_json(wrong), "{wrong}");
        }
    }

    #[test]
    fn any_matches_the_longest_and_the_empty_text() {
        assert!(found(r#""a{any}b{any}.""#, "abb a.b..").is_some());
        assert!(found(r#""{any}""#, "").is_some());
        assert!(found(r#""a{any}b""#, "a").is_none());
        assert!(found(r#""a""#, "ab").is_none());
    }
}
