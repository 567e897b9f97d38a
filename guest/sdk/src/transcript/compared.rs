//! Effects that count in a comparison.
//!
//! Owns the reduction of effects to what a client observes. It must not know how differences are found or shown. The effects
//! of one event bound it.

use crate::transcript::effect_line::EffectLine;
use crate::transcript::event::ExpectationLine;
use crate::transcript::pattern::{Piece, Unset, Values};
use crate::transcript::token::{Token, matches};

/// Effects that a run compares with the expectations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compared {
    /// Every effect. For the transcripts of one guest.
    #[default]
    Effects,
    /// Effects that a client observes: the bytes of replies, the requests that replies wait for, `close`, and faults. The way in
    /// which a guest keeps records, words its requests, or divides a reply into effects makes no difference. For guests that implement one
    /// protocol in different ways.
    Replies,
}

/// Reduces expectations to what a client observes. Comments are left out.
pub(super) fn observed_expectations(lines: &[ExpectationLine]) -> Vec<ExpectationLine> {
    let observed = |line: &ExpectationLine| match line {
        ExpectationLine::Comment(_) => None,
        ExpectationLine::Effect { tokens, line, .. } => {
            let EffectLine { tokens, text } = observed(tokens)?;
            Some(ExpectationLine::Effect { tokens, line: *line, text })
        }
    };
    lines.iter().filter_map(observed).collect()
}

/// Reduces effects to what a client observes.
pub(super) fn observed_effects(effects: &[EffectLine]) -> Vec<EffectLine> {
    effects.iter().filter_map(|effect| observed(&effect.tokens)).collect()
}

/// Compares the bytes that a client receives, however they are divided into replies. Returns the captured variables if they are those
/// expected.
pub(super) fn same_bytes(expected: &[ExpectationLine], actual: &[EffectLine], values: &Values) -> Option<Values> {
    let expected = expected.iter().filter_map(|line| match line {
        ExpectationLine::Effect { tokens, .. } => Some(&**tokens),
        ExpectationLine::Comment(_) => None,
    });
    let (expected, actual) = (pieces(expected)?, pieces(actual.iter().map(|effect| &*effect.tokens))?);
    matches(&expected, &actual, values, Unset::Fails)
}

/// Joins adjacent replies. None: a star stands for the bytes of one.
fn pieces<'a>(lines: impl Iterator<Item = &'a [Token]>) -> Option<Vec<Token>> {
    let mut joined = vec![];
    let mut reply: Vec<Piece> = vec![];
    for tokens in lines {
        match tokens {
            [word, Token::Bytes(bytes)] if word.is("reply") => reply.push(Piece::Literal(bytes.clone())),
            [word, Token::Pattern(pattern)] if word.is("reply") => reply.extend(pattern.0.iter().cloned()),
            _ if tokens.contains(&Token::Any) => return None,
            _ => {
                joined.extend(string(std::mem::take(&mut reply)));
                joined.extend_from_slice(tokens);
            }
        }
    }
    joined.extend(string(reply));
    Some(joined)
}

/// Makes a token of what replies have joined to. None without bytes.
fn string(pieces: Vec<Piece>) -> Option<Token> {
    let string = Token::string(pieces);
    (string != Token::Bytes(vec![])).then_some(string)
}

/// Reduces one effect. None: a client does not observe it.
fn observed(tokens: &[Token]) -> Option<EffectLine> {
    let Some(Token::Word(word)) = tokens.first() else { return None };
    let parts = match &**word {
        "reply" => tokens.get(..2)?,
        // Only its place among the replies: the request belongs to the guest, and its fallback to a node.
        "fetch" => &tokens[..1],
        "close" | "fault" => tokens,
        _ => return None,
    };
    Some(EffectLine::of_tokens(parts))
}
