//! Tokens of a transcript line: words, byte strings, and the star that matches either.
//!
//! Owns quoting, escapes and repeats, in both directions. It must not know events or effects. A repeat (`"x"*70000`) makes at
//! most [`REPEAT_MAX`] bytes, so a typing error does not exhaust the memory.

use std::fmt::Write;

/// Token of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A bare word or number.
    Word(String),
    /// A byte string. Adjacent strings form one.
    Bytes(Vec<u8>),
    /// `*`: in an expectation, matches any one word or byte string.
    Any,
}

impl Token {
    /// Returns the bytes of a byte string, or none for other tokens.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns whether the token is this word.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(other) if other == word)
    }
}

/// Returns whether an actual line matches an expected one.
pub(super) fn matches(expected: &[Token], actual: &[Token]) -> bool {
    let same = |(expected, actual): (&Token, &Token)| *expected == Token::Any || expected == actual;
    expected.len() == actual.len() && expected.iter().zip(actual).all(same)
}

/// Parses one line of text and appends its tokens.
///
/// # Errors
///
/// A message with the problem and a correct example.
pub(super) fn read(text: &str, tokens: &mut Vec<Token>) -> Result<(), String> {
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '#' => return Ok(()),
            '"' | '\'' => {
                let (bytes, after) = read_bytes(&rest[1..], first)?;
                match tokens.last_mut() {
                    Some(Token::Bytes(before)) => before.extend(bytes),
                    _ => tokens.push(Token::Bytes(bytes)),
                }
                after
            }
            ',' => {
                tokens.push(Token::Word(",".into()));
                &rest[1..]
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '#');
                let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
                tokens.push(if word == "*" { Token::Any } else { Token::Word(word.into()) });
                after
            }
        }
        .trim_start();
    }
    Ok(())
}

/// Parses a byte string and its repeat, from after the opening quote. Also returns the text that follows.
fn read_bytes(text: &str, quote: char) -> Result<(Vec<u8>, &str), String> {
    let mut bytes = vec![];
    let mut chars = text.chars();
    loop {
        match chars.next() {
            None => return Err(format!("the byte string is not closed; end it with {quote}")),
            Some(c) if c == quote => break,
            Some('\\') => bytes.push(read_escape(&mut chars)?),
            Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    let after = chars.as_str();
    let Some(digits) = after.strip_prefix('*') else { return Ok((bytes, after)) };
    let (digits, after) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
    let times = digits.parse::<usize>().map_err(|_| "expected a number after the star: \"x\"*70000".to_string())?;
    if times.saturating_mul(bytes.len()) > REPEAT_MAX {
        return Err(format!("a repeat makes at most {REPEAT_MAX} bytes"));
    }
    Ok((bytes.repeat(times), after))
}

fn read_escape(chars: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match chars.next() {
        Some('n') => Ok(b'\n'),
        Some('r') => Ok(b'\r'),
        Some('t') => Ok(b'\t'),
        Some('x') => {
            let high = chars.next().and_then(|digit| digit.to_digit(16));
            let low = chars.next().and_then(|digit| digit.to_digit(16));
            let byte = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
            byte.ok_or_else(|| "\\x needs two hexadecimal digits, such as \\x0c".into())
        }
        Some(c @ ('\\' | '"' | '\'')) => Ok(c as u8),
        Some(c) => Err(format!("unknown escape `\\{c}`; known are \\n \\r \\t \\\\ \\\" \\' \\xNN")),
        None => Err("a backslash at the end of the line; write \\\\ for one".into()),
    }
}

/// Writes a byte string as one piece for each of its lines, separated by `between`.
pub(super) fn write_bytes(out: &mut String, bytes: &[u8], between: &str) {
    let mut rest = bytes;
    let mut separator = "";
    while !rest.is_empty() || separator.is_empty() {
        out.push_str(separator);
        let ends = |at: &usize| rest[*at] == b'\n' && rest.get(at + 1).is_some_and(|&next| next != b'\n');
        let (line, after) = rest.split_at((0..rest.len()).find(ends).map_or(rest.len(), |at| at + 1));
        write_line(out, line);
        rest = after;
        separator = between;
    }
}

/// Writes one piece, with long runs of one byte as repeats.
fn write_line(out: &mut String, line: &[u8]) {
    let mut plain = 0;
    let mut at = 0;
    while at < line.len() {
        let run = line[at..].iter().take_while(|&&byte| byte == line[at]).count();
        if run >= RUN_MIN {
            if plain < at {
                write_quoted(out, &line[plain..at]);
                out.push(' ');
            }
            write_quoted(out, &line[at..=at]);
            let _ = write!(out, "*{run}");
            plain = at + run;
            if plain < line.len() {
                out.push(' ');
            }
        }
        at += run;
    }
    if plain < line.len() || line.is_empty() {
        write_quoted(out, &line[plain..]);
    }
}

fn write_quoted(out: &mut String, bytes: &[u8]) {
    let quote = if bytes.contains(&b'"') && !bytes.contains(&b'\'') { '\'' } else { '"' };
    out.push(quote);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\\' => out.push_str("\\\\"),
                _ if c == quote => out.extend(['\\', c]),
                _ if is_invisible(c) => write_hex(out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => out.push(c),
            }
        }
        write_hex(out, chunk.invalid());
    }
    out.push(quote);
}

fn write_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(out, "\\x{byte:02x}");
    }
}

/// Returns whether a character is invisible, or looks like a space or like another spelling.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Length from which runs are written as repeats: longer than usual indentation.
const RUN_MIN: usize = 40;

/// 16 MiB: twice the limit on the output of a decision, so that a transcript can exceed that limit.
const REPEAT_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        let mut tokens = vec![];
        read(text, &mut tokens).unwrap();
        tokens
    }

    fn problem(text: &str) -> String {
        read(text, &mut vec![]).unwrap_err()
    }

    #[test]
    fn tokens_are_words_strings_and_stars() {
        let word = |word: &str| Token::Word(word.into());
        let bytes = |bytes: &[u8]| Token::Bytes(bytes.into());
        assert_eq!(
            tokens(r#"reply "a\n" 'b"' else * # why"#),
            [word("reply"), bytes(b"a\nb\""), word("else"), Token::Any]
        );
        assert_eq!(tokens(r#"to "A", "B""#), [word("to"), bytes(b"A"), word(","), bytes(b"B")]);
        assert_eq!(tokens(r#"input "x"*3 "\xff\t\\\"\r é" end"#)[1], bytes(b"xxx\xff\t\\\"\r \xc3\xa9"));
    }

    #[test]
    fn errors_name_the_problem_in_a_string() {
        assert_eq!(problem("reply \"a"), "the byte string is not closed; end it with \"");
        assert_eq!(problem(r#"reply "\q""#), "unknown escape `\\q`; known are \\n \\r \\t \\\\ \\\" \\' \\xNN");
        assert_eq!(problem(r#"reply "\x4""#), "\\x needs two hexadecimal digits, such as \\x0c");
        assert_eq!(problem(r#"reply "a\"#), "a backslash at the end of the line; write \\\\ for one");
        assert_eq!(problem(r#"reply "a"*"#), "expected a number after the star: \"x\"*70000");
        assert_eq!(problem(r#"reply "a"*99999999999"#), "a repeat makes at most 16777216 bytes");
    }

    #[test]
    fn parsing_returns_the_written_bytes() {
        let written = |bytes: &[u8]| {
            let mut out = String::new();
            write_bytes(&mut out, bytes, " ");
            assert_eq!(tokens(&out), [Token::Bytes(bytes.into())]);
            out
        };
        assert_eq!(written(b""), r#""""#);
        assert_eq!(written(b"a\nb\n\n"), r#""a\n" "b\n\n""#);
        assert_eq!(written(b"{\"a\": 1}"), r#"'{"a": 1}'"#);
        assert_eq!(written(b"it's \"x\""), r#""it's \"x\"""#);
        assert_eq!(written(&[&b"? "[..], &[b'x'; 64], b"\n"].concat()), r#""? " "x"*64 "\n""#);
        assert_eq!(written("ki\u{a0}wi é e\u{301} \0".as_bytes()), r#""ki\xc2\xa0wi é e\xcc\x81 \x00""#);
        assert_eq!(written(&[0xff; 64]), r#""\xff"*64"#);
        assert_eq!(written(b"\xff\xc3"), r#""\xff\xc3""#);
    }
}
