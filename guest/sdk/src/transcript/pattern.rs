//! Patterns in byte strings of expectations, and the variables that they capture.
//!
//! Owns matching. It must not know lines or effects. A wildcard matches within a line of the bytes; a capture takes the fewest bytes
//! with which its string matches. Bounds: [`STEPS_MAX`] for one match, which stops patterns of many wildcards on long bytes, and
//! [`OPS_MAX`], which bounds its stack.

use std::collections::{BTreeMap, HashSet};

/// Byte string with wildcards or variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub(super) Vec<Piece>);

/// Part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// These bytes.
    Literal(Vec<u8>),
    /// `\*`: any bytes but a newline, or none.
    Any,
    /// `\?`: one byte but a newline.
    One,
    /// `\#`: one or more decimal digits.
    Digits,
    /// `\{name}` where the name occurs first, in an expectation: matches as `\*` does, and the variable takes the bytes.
    Capture(String),
    /// `\{name}` anywhere below: the bytes of the variable.
    Use(String),
}

/// Variables with a value.
pub(super) type Values = BTreeMap<String, Vec<u8>>;

/// Treatment of a variable without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unset {
    /// It matches nothing.
    Fails,
    /// It matches as `\*` does, for a first guess before the captures of the same event are known.
    Matches,
}

impl Pattern {
    /// Matches all of the bytes. Returns the captured variables, or none if the bytes do not match.
    pub(super) fn captures(&self, bytes: &[u8], values: &Values, unset: Unset) -> Option<Values> {
        let ops = self.0.iter().map(|piece| {
            Some(match piece {
                Piece::Literal(literal) => Op::Literal(literal),
                Piece::Any => Op::Any(None),
                Piece::Capture(name) => Op::Any(Some(name)),
                Piece::One => Op::One,
                Piece::Digits => Op::Digits,
                Piece::Use(name) => match (values.get(name), unset) {
                    (Some(value), _) => Op::Literal(value),
                    (None, Unset::Matches) => Op::Any(None),
                    (None, Unset::Fails) => return None,
                },
            })
        });
        let ops = ops.collect::<Option<Vec<_>>>()?;
        if ops.len() > OPS_MAX {
            return None;
        }
        let mut search = Search { ops, bytes, failed: HashSet::new(), captured: Values::new(), steps: 0 };
        search.matches(0, 0).then_some(search.captured)
    }

    /// Returns the bytes of a pattern of literals and variables with values.
    ///
    /// # Errors
    ///
    /// The name of a variable without a value, or the text of a wildcard.
    pub(super) fn bytes(&self, values: &Values) -> Result<Vec<u8>, String> {
        self.0.iter().try_fold(Vec::new(), |mut bytes, piece| {
            bytes.extend_from_slice(match piece {
                Piece::Literal(literal) => literal,
                Piece::Use(name) | Piece::Capture(name) => values.get(name).ok_or_else(|| name.clone())?,
                Piece::Any | Piece::One | Piece::Digits => return Err("a wildcard".into()),
            });
            Ok(bytes)
        })
    }

    /// Iterates over the variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Capture(name) | Piece::Use(name) => Some(&**name),
            _ => None,
        })
    }

    /// Returns a pattern that matches other bytes and keeps the words of this one that still match, wildcards and variables among
    /// them. None if no wildcard or variable is left.
    pub(super) fn fitted(&self, bytes: &[u8], values: &Values) -> Option<Self> {
        let (words, actual) = (self.words(), words(bytes));
        if words.len() != actual.len() {
            return None;
        }
        let mut pieces = vec![];
        for (word, actual) in words.into_iter().zip(actual) {
            let still_matches = word.captures(actual, values, Unset::Matches).is_some();
            pieces.extend(if still_matches { word.0 } else { vec![Piece::Literal(actual.into())] });
        }
        let fitted = Self(joined(pieces));
        let has_wildcard = fitted.0.iter().any(|piece| !matches!(piece, Piece::Literal(_)));
        (has_wildcard && fitted.captures(bytes, values, Unset::Matches).is_some()).then_some(fitted)
    }

    /// Divides the pattern into words, each with the blank or newline behind it.
    fn words(&self) -> Vec<Self> {
        let mut divided = vec![Self(vec![])];
        for piece in &self.0 {
            let Piece::Literal(literal) = piece else {
                divided.last_mut().expect("begins with one word").0.push(piece.clone());
                continue;
            };
            for part in words(literal) {
                divided.last_mut().expect("begins with one word").0.push(Piece::Literal(part.into()));
                if part.last().is_some_and(|last| is_end_of_word(*last)) {
                    divided.push(Self(vec![]));
                }
            }
        }
        divided.retain(|word| !word.0.is_empty());
        divided
    }
}

/// Joins adjacent literals.
pub(super) fn joined(pieces: impl IntoIterator<Item = Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = vec![];
    for piece in pieces {
        match (piece, joined.last_mut()) {
            (Piece::Literal(bytes), Some(Piece::Literal(before))) => before.extend(bytes),
            (Piece::Literal(bytes), _) if bytes.is_empty() => {}
            (piece, _) => joined.push(piece),
        }
    }
    joined
}

/// A piece whose variables are resolved.
enum Op<'a> {
    Literal(&'a [u8]),
    Any(Option<&'a str>),
    One,
    Digits,
}

struct Search<'a> {
    ops: Vec<Op<'a>>,
    bytes: &'a [u8],
    /// Operations and positions from which the rest does not match. Captures do not influence it.
    failed: HashSet<(usize, usize)>,
    captured: Values,
    steps: usize,
}

impl Search<'_> {
    /// Matches the operations from `op` with the bytes from `at`. Recurses once for each operation.
    fn matches(&mut self, op: usize, at: usize) -> bool {
        self.steps += 1;
        if self.steps > STEPS_MAX || self.failed.contains(&(op, at)) {
            return false;
        }
        let bytes = self.bytes;
        let rest = &bytes[at..];
        let found = match self.ops.get(op) {
            None => rest.is_empty(),
            Some(&Op::Literal(literal)) => rest.starts_with(literal) && self.matches(op + 1, at + literal.len()),
            Some(Op::One) => rest.first().is_some_and(|&byte| byte != b'\n') && self.matches(op + 1, at + 1),
            Some(Op::Digits) => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                // The most digits first: `\#` is meant to be a whole number.
                (1..=digits).rev().any(|count| self.matches(op + 1, at + count))
            }
            Some(&Op::Any(name)) => {
                let line = rest.iter().take_while(|&&byte| byte != b'\n').count();
                let count = (0..=line).find(|count| self.matches(op + 1, at + count));
                if let (Some(count), Some(name)) = (count, name) {
                    self.captured.insert(name.into(), rest[..count].into());
                }
                count.is_some()
            }
        };
        if !found {
            self.failed.insert((op, at));
        }
        found
    }
}

/// Divides bytes into words, each with the blank or newline behind it.
fn words(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|&byte| is_end_of_word(byte)).collect()
}

fn is_end_of_word(byte: u8) -> bool {
    byte == b' ' || byte == b'\n'
}

/// Steps of one match: a few milliseconds. A line of 1 KiB with three wildcards needs some thousand.
const STEPS_MAX: usize = 1 << 18;

/// Pieces of one match, each of which is a recursion. One string has some 130 at most, but a comparison of replies joins all those of an
/// event.
const OPS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::token::{Token, read};

    fn pattern(text: &str) -> Pattern {
        let mut tokens = vec![];
        read(text, &mut tokens).unwrap();
        match tokens.pop() {
            Some(Token::Pattern(pattern)) => pattern,
            other => panic!("{other:?}"),
        }
    }

    fn captured(text: &str, bytes: &str, values: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        let values = values.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        let mut pattern = pattern(text);
        for piece in &mut pattern.0 {
            if let Piece::Use(name) = piece
                && !Values::contains_key(&values, name)
            {
                *piece = Piece::Capture(name.clone());
            }
        }
        let captured = pattern.captures(bytes.as_bytes(), &values, Unset::Fails)?;
        Some(captured.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect())
    }

    #[test]
    fn pattern_matches_within_a_line() {
        let matches = |text, bytes| captured(text, bytes, &[]).is_some();
        assert!(matches(r#""AT \* kiwi\n""#, "AT Riley +0.6 kiwi\n"));
        assert!(!matches(r#""AT \* kiwi\n""#, "AT Riley\n kiwi\n"), "no wildcard crosses a line");
        assert!(!matches(r#""AT \* kiwi\n""#, "AT Riley +0.6 kiwi\nmore\n"), "all bytes have to match");
        assert!(matches(r#""\?\#""#, "+42") && !matches(r#""\?\#""#, "+") && !matches(r#""\#""#, "4x"));
        assert!(matches(r#""\#0""#, "100") && matches(r#""\*""#, "") && !matches(r#""\?""#, "\n"));
    }

    #[test]
    fn pattern_captures_the_fewest_bytes_and_compares_known_variables() {
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        assert_eq!(
            captured(r#""AT \{node} \{skew} kiwi""#, "AT Riley +0.6 kiwi", &[]),
            Some(vec![pair("node", "Riley"), pair("skew", "+0.6")])
        );
        assert_eq!(captured(r#""AT \{node} x""#, "AT Riley x", &[("node", "Riley")]), Some(vec![]));
        assert_eq!(captured(r#""AT \{node} x""#, "AT Jaquez x", &[("node", "Riley")]), None);
        let unknown = Pattern(vec![Piece::Use("node".into())]);
        assert_eq!(unknown.captures(b"x", &Values::new(), Unset::Fails), None);
        assert_eq!(unknown.captures(b"x", &Values::new(), Unset::Matches), Some(Values::new()));
    }

    #[test]
    fn pattern_of_many_wildcards_ends() {
        let wildcards = Pattern((0..60).map(|_| Piece::Any).chain([Piece::Literal(b"b".into())]).collect());
        assert_eq!(wildcards.captures(&[b'a'; 100_000], &Values::new(), Unset::Fails), None);
    }

    #[test]
    fn pattern_is_fitted_to_other_bytes_word_by_word() {
        let fitted = |text, bytes: &str| pattern(text).fitted(bytes.as_bytes(), &Values::new());
        assert_eq!(fitted(r#""AT \{n} +\* kiwi\n""#, "AT Riley +0.6 dodo\n"), Some(pattern(r#""AT \{n} +\* dodo\n""#)));
        assert_eq!(fitted(r#""AT \{n} +\* kiwi\n""#, "? dodo\n"), None, "another number of words");
        assert_eq!(fitted(r#""+\* kiwi\n""#, "-1 kiwi\n"), None, "no wildcard is left");
    }
}
