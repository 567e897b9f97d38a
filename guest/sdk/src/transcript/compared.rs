//! Effects that count in a comparison.
//!
//! Owns the reduction of effects to what a client observes. It must not know how differences are found or shown. The effects
//! of one event bound it.

use crate::transcript::effect_line::EffectLine;
use crate::transcript::event::ExpectationLine;
use crate::transcript::token::Token;

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
        ExpectationLine::Effect { tokens, .. } => {
            let EffectLine { tokens, text } = observed(tokens)?;
            Some(ExpectationLine::Effect { tokens, text })
        }
    };
    lines.iter().filter_map(observed).collect()
}

/// Reduces effects to what a client observes.
pub(super) fn observed_effects(effects: &[EffectLine]) -> Vec<EffectLine> {
    effects.iter().filter_map(|effect| observed(&effect.tokens)).collect()
}

/// Returns whether a client receives the same bytes, however they are divided into replies.
pub(super) fn same_bytes(expected: &[ExpectationLine], actual: &[EffectLine]) -> bool {
    let expected = expected.iter().filter_map(|line| match line {
        ExpectationLine::Effect { tokens, .. } => Some(&**tokens),
        ExpectationLine::Comment(_) => None,
    });
    let pieces = pieces(expected);
    pieces.is_some() && pieces == self::pieces(actual.iter().map(|effect| &*effect.tokens))
}

/// Part of what a client observes.
#[derive(PartialEq)]
enum Piece<'a> {
    /// Adjacent replies.
    Bytes(Vec<u8>),
    /// Another effect.
    Other(&'a [Token]),
}

/// Joins adjacent replies. None: a star stands for the bytes of one.
fn pieces<'a>(lines: impl Iterator<Item = &'a [Token]>) -> Option<Vec<Piece<'a>>> {
    let mut pieces = vec![];
    for tokens in lines {
        match (tokens, pieces.last_mut()) {
            ([word, Token::Bytes(bytes)], Some(Piece::Bytes(before))) if word.is("reply") => before.extend(bytes),
            ([word, Token::Bytes(bytes)], _) if word.is("reply") => pieces.push(Piece::Bytes(bytes.clone())),
            _ if tokens.contains(&Token::Any) => return None,
            _ => pieces.push(Piece::Other(tokens)),
        }
    }
    pieces.retain(|piece| *piece != Piece::Bytes(vec![]));
    Some(pieces)
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
