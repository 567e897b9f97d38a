//! Bytes in the JSON of a request, as pairs of hexadecimal digits: keys are any bytes, and JSON is text.
//!
//! Bound: the length of a body, which the server limits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes whose text is hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HexBytes(pub Vec<u8>);

/// The text is no even number of hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keys are pairs of hexadecimal digits, such as 6b697769")]
pub struct NotHex;

impl FromStr for HexBytes {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(NotHex);
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(NotHex) };
        pairs.iter().map(|&[high, low]| Ok(digit(high)? << 4 | digit(low)?)).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<String> for HexBytes {
    type Error = NotHex;

    fn try_from(text: String) -> Result<Self, NotHex> {
        text.parse()
    }
}

impl From<HexBytes> for String {
    fn from(bytes: HexBytes) -> Self {
        bytes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_bytes_survive_their_text_and_refuse_others() {
        let all = HexBytes((0..=255).collect());
        assert_eq!(all.to_string().parse(), Ok(all));
        assert_eq!("6B69".parse(), Ok(HexBytes(b"ki".to_vec())));
        assert_eq!("".parse(), Ok(HexBytes(Vec::new())));
        for text in ["6", "6g", "+6", "ки"] {
            assert_eq!(text.parse::<HexBytes>(), Err(NotHex), "{text}");
        }
    }
}
