//! Inline commands: words separated by blanks, with quotes and escapes, as a person types them.
//!
//! Owns the rules of redis' `sdssplitargs`. It must not know line ends. The line bounds the words.

use std::borrow::Cow;

use crate::request::Argument;

/// Splits a line into words. Returns none if a quotation mark is not closed, or is closed inside a word.
pub(crate) fn split<'a>(line: &'a [u8], words: &mut Vec<Argument<'a>>) -> Option<()> {
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let plain = rest.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\''));
        let end = plain.unwrap_or(rest.len());
        let after = if rest.get(end).is_some_and(|&byte| matches!(byte, b'"' | b'\'')) {
            let mut word = vec![];
            let length = quoted(rest, &mut word)?;
            words.push(Cow::Owned(word));
            &rest[length..]
        } else {
            words.push(Cow::Borrowed(&rest[..end]));
            &rest[end..]
        };
        rest = after.trim_ascii_start();
    }
    Some(())
}

/// Unquotes a word. Returns the number of bytes that it takes.
fn quoted(text: &[u8], word: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => at = double(text, at, word)?,
            b'\'' => at = single(text, at, word)?,
            _ if byte.is_ascii_whitespace() => return Some(at - 1),
            _ => word.push(byte),
        }
    }
    Some(at)
}

/// Reads up to the closing double quote, which must end the word. Returns the offset behind it.
fn double(text: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match text.get(at..)? {
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(digit(*high) << 4 | digit(*low));
                at += 4;
            }
            [b'\\', escaped, ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                at += 2;
            }
            [b'"', ..] => return ends_word(text, at + 1),
            [byte, ..] => {
                word.push(*byte);
                at += 1;
            }
            [] => return None,
        }
    }
}

/// Reads up to the closing single quote, which must end the word. Returns the offset behind it.
fn single(text: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match text.get(at..)? {
            [b'\\', b'\'', ..] => {
                word.push(b'\'');
                at += 2;
            }
            [b'\'', ..] => return ends_word(text, at + 1),
            [byte, ..] => {
                word.push(*byte);
                at += 1;
            }
            [] => return None,
        }
    }
}

fn ends_word(text: &[u8], at: usize) -> Option<usize> {
    text.get(at).is_none_or(u8::is_ascii_whitespace).then_some(at)
}

fn digit(hexadecimal: u8) -> u8 {
    match hexadecimal {
        b'0'..=b'9' => hexadecimal - b'0',
        _ => (hexadecimal | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let mut words = vec![];
        split(line.as_bytes(), &mut words)?;
        Some(words.iter().map(|word| word.escape_ascii().to_string()).collect())
    }

    #[test]
    fn words_are_separated_by_blanks_and_may_be_quoted() {
        let split = |line| words(line).unwrap();
        assert_eq!(split("  SET\tkiwi  1 "), ["SET", "kiwi", "1"]);
        assert_eq!(split(r#"SET "a b" 'c d' "" ''"#), ["SET", "a b", "c d", "", ""]);
        assert_eq!(split(r#"a"b c""#), ["ab c"]);
        assert_eq!(split(r#""\x00\xFf\xg\n\r\t\b\a\q" '\'\n'"#), [r"\x00\xffxg\n\r\t\x08\x07q", r"\'\\n"]);
        assert_eq!(split(""), [""; 0]);
    }

    #[test]
    fn quotes_must_be_closed_at_the_end_of_a_word() {
        for line in ["\"a", "'a", "\"a\"b", "'a'b", "\"a\\", "a\""] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
