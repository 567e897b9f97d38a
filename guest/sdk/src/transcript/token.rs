//! Tokens of a transcript line: words, byte strings, and the star that matches either.
//!
//! Owns quoting, escapes and repeats, in both directions. It must not know events or effects. A repeat (`"x"*70000`) makes at
//! most [`REPEAT_MAX`] bytes, so a typing error does not exhaust the memory. A pattern has at most [`PIECES_MAX`] wildcards and
//! variables.

use std::fmt::Write;

use crate::transcript::pattern::{Pattern, Piece, Unset, Values, joined};

/// Token of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A bare word or number.
    Word(String),
    /// A byte string. Adjacent strings form one.
    Bytes(Vec<u8>),
    /// A byte string with wildcards or variables.
    Pattern(Pattern),
    /// `*`: in an expectation, matches any one word or byte string.
    Any,
}

impl Token {
    /// Makes a byte string of pieces.
    pub(super) fn string(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let mut pieces = joined(pieces);
        match &mut *pieces {
            [] => Self::Bytes(vec![]),
            [Piece::Literal(bytes)] => Self::Bytes(std::mem::take(bytes)),
            _ => Self::Pattern(Pattern(pieces)),
        }
    }

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

/// Matches an actual line with an expected one. Returns the captured variables, or none if the lines do not match. Later strings of
/// the line see the captures of earlier ones.
pub(super) fn matches(expected: &[Token], actual: &[Token], values: &Values, unset: Unset) -> Option<Values> {
    if expected.len() != actual.len() {
        return None;
    }
    let mut captured = Values::new();
    for pair in expected.iter().zip(actual) {
        match pair {
            (Token::Any, _) => {}
            (Token::Pattern(pattern), Token::Bytes(bytes)) => {
                let new = if captured.is_empty() {
                    pattern.captures(bytes, values, unset)?
                } else {
                    let known = values.iter().chain(&captured).map(|(name, value)| (name.clone(), value.clone()));
                    pattern.captures(bytes, &known.collect(), unset)?
                };
                captured.extend(new);
            }
            (expected, actual) if expected == actual => {}
            _ => return None,
        }
    }
    Some(captured)
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
                let (pieces, after) = read_pieces(&rest[1..], first)?;
                append_string(tokens, pieces)?;
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

/// Appends a byte string, to the one before it if the last token is one.
fn append_string(tokens: &mut Vec<Token>, pieces: Vec<Piece>) -> Result<(), String> {
    let before = match tokens.pop() {
        Some(Token::Bytes(bytes)) => vec![Piece::Literal(bytes)],
        Some(Token::Pattern(pattern)) => pattern.0,
        other => {
            tokens.extend(other);
            vec![]
        }
    };
    let pieces: Vec<Piece> = before.into_iter().chain(pieces).collect();
    if pieces.iter().filter(|piece| !matches!(piece, Piece::Literal(_))).count() > PIECES_MAX {
        return Err(format!("a byte string has at most {PIECES_MAX} wildcards and variables"));
    }
    tokens.push(Token::string(pieces));
    Ok(())
}

/// Parses a byte string and its repeat, from after the opening quote. Also returns the text that follows. A variable is read as
/// [`Piece::Use`]; only the order of lines says where it is captured.
fn read_pieces(text: &str, quote: char) -> Result<(Vec<Piece>, &str), String> {
    let mut pieces = vec![];
    let mut bytes = vec![];
    let mut chars = text.chars();
    loop {
        match chars.next() {
            None => return Err(format!("the byte string is not closed; end it with {quote}")),
            Some(c) if c == quote => break,
            Some('\\') => match read_wildcard(&mut chars)? {
                Some(piece) => {
                    pieces.push(Piece::Literal(std::mem::take(&mut bytes)));
                    pieces.push(piece);
                }
                None => bytes.push(read_escape(&mut chars)?),
            },
            Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    let after = chars.as_str();
    let repeat = after.strip_prefix('*');
    let is_literal = pieces.is_empty();
    pieces.push(Piece::Literal(bytes));
    let Some(digits) = repeat else { return Ok((pieces, after)) };
    if !is_literal {
        return Err("a string with wildcards or variables cannot be repeated".into());
    }
    let (digits, after) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
    let times = digits.parse::<usize>().map_err(|_| "expected a number after the star: \"x\"*70000".to_string())?;
    let Some(Piece::Literal(bytes)) = pieces.pop() else { return Ok((pieces, after)) };
    if times.saturating_mul(bytes.len()) > REPEAT_MAX {
        return Err(format!("a repeat makes at most {REPEAT_MAX} bytes"));
    }
    Ok((vec![Piece::Literal(bytes.repeat(times))], after))
}

/// Parses a wildcard or a variable, from after the backslash. Reads nothing if it is another escape.
fn read_wildcard(chars: &mut std::str::Chars<'_>) -> Result<Option<Piece>, String> {
    let text = chars.as_str();
    let piece = match text.chars().next() {
        Some('*') => Piece::Any,
        Some('?') => Piece::One,
        Some('#') => Piece::Digits,
        Some('{') => {
            let (name, after) = text[1..].split_once('}').ok_or("a variable ends with a brace: \\{name}")?;
            let is_name = (1..=NAME_CHARS_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                return Err(format!(
                    "`{name}` is not the name of a variable: 1 to {NAME_CHARS_MAX} letters, digits and underscores"
                ));
            }
            *chars = after.chars();
            return Ok(Some(Piece::Use(name.into())));
        }
        _ => return Ok(None),
    };
    chars.next();
    Ok(Some(piece))
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
        Some(c) => Err(format!(
            "unknown escape `\\{c}`; known are \\n \\r \\t \\\\ \\\" \\' \\xNN, and for patterns \\* \\? \\# \\{{name}}"
        )),
        None => Err("a backslash at the end of the line; write \\\\ for one".into()),
    }
}

/// Writes tokens with the layout of a recording: options of an effect on lines of their own.
pub(super) fn write_tokens(out: &mut String, tokens: &[Token]) {
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Word(word) if word == "," => {}
            Token::Word(word) if index > 0 && BELOW.contains(&&**word) => out.push_str(CONTINUATION),
            _ if index > 0 => out.push(' '),
            _ => {}
        }
        match token {
            Token::Word(word) => out.push_str(word),
            Token::Bytes(bytes) => write_bytes(out, bytes, BYTES_CONTINUATION),
            Token::Pattern(pattern) => write_pattern(out, pattern),
            Token::Any => out.push('*'),
        }
    }
}

/// Writes a pattern as one piece for each of its lines.
fn write_pattern(out: &mut String, Pattern(pieces): &Pattern) {
    let has = |quote| pieces.iter().any(|piece| matches!(piece, Piece::Literal(bytes) if bytes.contains(&quote)));
    let quote = if has(b'"') && !has(b'\'') { '\'' } else { '"' };
    out.push(quote);
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(bytes) => {
                let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').peekable();
                while let Some(line) = lines.next() {
                    write_escaped(out, line, quote);
                    let is_last = lines.peek().is_none() && index + 1 == pieces.len();
                    if line.ends_with(b"\n") && !is_last {
                        let _ = write!(out, "{quote}{BYTES_CONTINUATION}{quote}");
                    }
                }
            }
            Piece::Any => out.push_str("\\*"),
            Piece::One => out.push_str("\\?"),
            Piece::Digits => out.push_str("\\#"),
            Piece::Capture(name) | Piece::Use(name) => {
                let _ = write!(out, "\\{{{name}}}");
            }
        }
    }
    out.push(quote);
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
    write_escaped(out, bytes, quote);
    out.push(quote);
}

/// Writes the inside of a string.
fn write_escaped(out: &mut String, bytes: &[u8], quote: char) {
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

/// Wildcards and variables of one string: many more than a reply of some lines needs.
const PIECES_MAX: usize = 64;

/// Characters of a variable's name.
const NAME_CHARS_MAX: usize = 32;

/// Break before an option of an effect.
pub(super) const CONTINUATION: &str = "\n    ";

/// Break within a byte string.
pub(super) const BYTES_CONTINUATION: &str = "\n      ";

/// Words that begin a line of their own.
const BELOW: [&str; 4] = ["form", "body", "token", "else"];

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
        assert_eq!(
            problem(r#"reply "\q""#),
            "unknown escape `\\q`; known are \\n \\r \\t \\\\ \\\" \\' \\xNN, and for patterns \\* \\? \\# \\{name}"
        );
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
