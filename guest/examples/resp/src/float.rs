//! Numbers with a fraction, as redis reads and prints them.

/// Parses a number as redis does with `strtod`, but without its hexadecimal notation. Not a number is none, and so is what is too large
/// or too small for a number.
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let number: f64 = str::from_utf8(text).ok()?.parse().ok()?;
    let mantissa = text.iter().take_while(|&&byte| !matches!(byte, b'e' | b'E'));
    let is_in_range = match number {
        0.0 => mantissa.copied().all(|byte| !matches!(byte, b'1'..=b'9')),
        _ => number.is_finite() || !text.iter().any(u8::is_ascii_digit),
    };
    (is_in_range && !number.is_nan()).then_some(number)
}

/// Prints a coordinate: 17 decimals, without zeros at the end.
pub(crate) fn coordinate(number: f64) -> String {
    let text = format!("{number:.17}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Prints a distance: 4 decimals.
pub(crate) fn distance(number: f64) -> String {
    format!("{number:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_by_redis() {
        // The example of the documentation of GEOPOS and GEODIST.
        assert_eq!(coordinate(13.361_389_338_970_184), "13.36138933897018433");
        assert_eq!(coordinate(-180.0), "-180");
        assert_eq!(coordinate(0.5), "0.5");
        assert_eq!(distance(166_274.151_56), "166274.1516");
    }

    #[test]
    fn numbers_are_decimal() {
        let numbers =
            [("1", 1.0), ("-1.5", -1.5), ("+.5", 0.5), ("1e3", 1000.0), ("inf", f64::INFINITY), ("-0.0e5", 0.0)];
        for (text, number) in numbers {
            assert_eq!(parse(text.as_bytes()), Some(number), "{text}");
        }
        for text in ["nan", "0x1p3", " 1", "", "1e400", "-1e400", "1e-400"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
