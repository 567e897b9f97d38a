//! Requests: splitting an input into commands and their arguments.
//!
//! Owns the syntax of arrays of strings, and the limits on them. It must not know commands. A request that is not complete is
//! parsed again from its start when more bytes arrive: lengths are hopped over, so that costs as many steps as it has arguments.

use std::borrow::Cow;
use std::fmt;

use herd_sdk::Awaiting;

use crate::inline;

/// Argument of a command. Owned only if an inline command escapes its bytes.
pub(crate) type Argument<'a> = Cow<'a, [u8]>;

/// Beginning of an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A request of this many bytes. Its arguments were stored; there are none if it is empty.
    Request(usize),
    /// The end of the request has not arrived.
    Incomplete(Awaiting),
    /// The bytes are no request, so the place where the next one begins is unknown.
    Malformed(Malformed),
}

/// Violation of the protocol, in the words of redis where it has some.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// The number of arguments is no number.
    ArgumentCount,
    /// More arguments than the limit.
    TooManyArguments,
    /// The length of an argument is no number, or negative.
    Length,
    /// The request exceeds the limit.
    TooLong,
    /// An argument does not begin with a dollar sign.
    NoLength(u8),
    /// A quotation mark of an inline command is not closed.
    Quotes,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR Protocol error: ")?;
        match self {
            Self::ArgumentCount => f.write_str("invalid multibulk length"),
            Self::TooManyArguments => {
                write!(f, "invalid multibulk length: a command has at most {ARGUMENTS_MAX} arguments")
            }
            Self::Length => f.write_str("invalid bulk length"),
            Self::TooLong => write!(f, "invalid bulk length: a command has at most {REQUEST_BYTES_MAX} bytes"),
            Self::NoLength(byte) => write!(f, "expected '$', got '{}'", char::from(*byte)),
            Self::Quotes => f.write_str("unbalanced quotes in request"),
        }
    }
}

/// Parses the first request and stores its arguments.
pub(crate) fn parse<'a>(bytes: &'a [u8], arguments: &mut Vec<Argument<'a>>) -> Parsed {
    arguments.clear();
    if bytes.first() != Some(&b'*') {
        return parse_inline(bytes, arguments);
    }
    let Some((count, mut at)) = header(bytes, 1) else { return Parsed::Incomplete(NEWLINE) };
    let Some(count) = count else { return Parsed::Malformed(Malformed::ArgumentCount) };
    if count > ARGUMENTS_MAX {
        return Parsed::Malformed(Malformed::TooManyArguments);
    }
    for _ in 0..count {
        match bytes.get(at) {
            None => return Parsed::Incomplete(NEWLINE),
            Some(b'$') => {}
            Some(&other) => return Parsed::Malformed(Malformed::NoLength(other)),
        }
        let Some((length, start)) = header(bytes, at + 1) else { return Parsed::Incomplete(NEWLINE) };
        let Some(Ok(length)) = length.map(usize::try_from) else { return Parsed::Malformed(Malformed::Length) };
        // Refused when it is announced: the host would have to buffer it first.
        if length > REQUEST_BYTES_MAX || start + length + LINE_END_BYTES > REQUEST_BYTES_MAX {
            return Parsed::Malformed(Malformed::TooLong);
        }
        let end = start + length;
        at = end + LINE_END_BYTES;
        if at > bytes.len() {
            let missing = u32::try_from(at - bytes.len()).unwrap_or(u32::MAX);
            return Parsed::Incomplete(Awaiting::Bytes(missing));
        }
        arguments.push(Cow::Borrowed(&bytes[start..end]));
    }
    Parsed::Request(at)
}

fn parse_inline<'a>(bytes: &'a [u8], arguments: &mut Vec<Argument<'a>>) -> Parsed {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return Parsed::Incomplete(NEWLINE) };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    match inline::split(line, arguments) {
        Some(()) if arguments.len() as i64 > ARGUMENTS_MAX => Parsed::Malformed(Malformed::TooManyArguments),
        Some(()) => Parsed::Request(end + 1),
        None => Parsed::Malformed(Malformed::Quotes),
    }
}

/// Parses the number that begins at `at` and ends with a line end. Returns it and the offset behind; the number is `None` if
/// it is none. Returns `None` without a line end.
#[inline]
fn header(bytes: &[u8], at: usize) -> Option<(Option<i64>, usize)> {
    // One digit or two: nearly every header.
    match bytes.get(at..) {
        Some([a @ b'0'..=b'9', b'\r', b'\n', ..]) => return Some((Some(i64::from(a - b'0')), at + 3)),
        Some([a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..]) => {
            return Some((Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')), at + 4));
        }
        _ => {}
    }
    let length = bytes.get(at..)?.iter().position(|&byte| byte == b'\n')?;
    let number = bytes[at..at + length].strip_suffix(b"\r").and_then(integer);
    Some((number, at + length + 1))
}

/// Parses an integer as redis does: without a plus sign, blanks or leading zeros.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = match digits {
        b"0" => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if is_plain { str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// Bytes of a request, with the lengths in it: as many as a session may send before a guest consumes some.
pub(crate) const REQUEST_BYTES_MAX: usize = 64 << 10;

/// Arguments of a request. Each look-up of a record takes about a microsecond, and a call has ten milliseconds.
const ARGUMENTS_MAX: i64 = 1024;

const LINE_END_BYTES: usize = 2;
const NEWLINE: Awaiting = Awaiting::Delimiter(b'\n');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(bytes: &[u8]) -> (Parsed, Vec<Argument<'_>>) {
        let mut arguments = vec![];
        (parse(bytes, &mut arguments), arguments)
    }

    fn malformed(bytes: &[u8]) -> String {
        match parsed(bytes) {
            (Parsed::Malformed(why), _) => why.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn request_is_an_array_of_strings_or_a_line() {
        let read =
            |bytes| parsed(bytes).1.iter().map(|argument| argument.escape_ascii().to_string()).collect::<Vec<_>>();
        assert_eq!(read(b"*2\r\n$4\r\nECHO\r\n$2\r\na\n\r\n*1"), ["ECHO", r"a\n"]);
        assert_eq!(read(b"ECHO 'a b'\r\nPING\r\n"), ["ECHO", "a b"]);
        assert_eq!(parsed(b"*2\r\n$4\r\nECHO\r\n$2\r\na\n\r\n*1").0, Parsed::Request(22));
        assert_eq!(parsed(b"*0\r\nPING").0, Parsed::Request(4));
        assert_eq!(parsed(b"*-1\r\nPING").0, Parsed::Request(5), "redis ignores it too");
    }

    #[test]
    fn incomplete_request_awaits_the_next_line_or_the_missing_bytes() {
        assert_eq!(parsed(b"*2\r\n$4").0, Parsed::Incomplete(NEWLINE));
        assert_eq!(parsed(b"*2\r\n").0, Parsed::Incomplete(NEWLINE));
        assert_eq!(parsed(b"*2\r\n$4\r\nEC").0, Parsed::Incomplete(Awaiting::Bytes(4)));
        assert_eq!(parsed(b"*2\r\n$4\r\nECHO\r").0, Parsed::Incomplete(Awaiting::Bytes(1)));
    }

    #[test]
    fn violations_have_the_words_of_redis() {
        assert_eq!(malformed(b"*x\r\n"), "ERR Protocol error: invalid multibulk length");
        assert_eq!(malformed(b"*1\r\n$-1\r\n"), "ERR Protocol error: invalid bulk length");
        assert_eq!(malformed(b"*1\r\n$01\r\n"), "ERR Protocol error: invalid bulk length");
        assert_eq!(malformed(b"*1\r\nPING\r\n"), "ERR Protocol error: expected '$', got 'P'");
        assert_eq!(malformed(b"ECHO 'a\r\n"), "ERR Protocol error: unbalanced quotes in request");
    }

    #[test]
    fn limits_are_refused_when_they_are_announced() {
        let many = "ERR Protocol error: invalid multibulk length: a command has at most 1024 arguments";
        assert_eq!(malformed(b"*1025\r\n"), many);
        assert_eq!(malformed(format!("{}\n", "a ".repeat(1025)).as_bytes()), many);
        assert_eq!(parsed(b"*1024\r\n").0, Parsed::Incomplete(NEWLINE));
        let long = "ERR Protocol error: invalid bulk length: a command has at most 65536 bytes";
        assert_eq!(malformed(b"*1\r\n$65523\r\n"), long);
        assert_eq!(malformed(b"*1\r\n$9223372036854775807\r\n"), long);
        assert_eq!(parsed(b"*1\r\n$65522\r\n").0, Parsed::Incomplete(Awaiting::Bytes(65524)), "65,536 bytes in all");
    }

    proptest! {
        #[test]
        fn parsing_returns_the_arguments_that_were_encoded(
            arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..40),
        ) {
            let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
            for argument in &arguments {
                bytes.extend(format!("${}\r\n", argument.len()).bytes());
                bytes.extend(argument);
                bytes.extend(b"\r\n");
            }
            let (request, read) = parsed(&bytes);
            prop_assert_eq!(request, Parsed::Request(bytes.len()));
            prop_assert_eq!(read.iter().map(|argument| argument.to_vec()).collect::<Vec<_>>(), arguments);
            for end in 0..bytes.len() {
                let cut = parsed(&bytes[..end]).0;
                prop_assert!(matches!(cut, Parsed::Incomplete(_)), "{:?} of {:?}", cut, &bytes[..end]);
            }
        }

        #[test]
        fn integers_agree_with_their_text(number: i64) {
            prop_assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
    }
}
