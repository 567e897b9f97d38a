//! Parser of event lines.
//!
//! Owns the notation of events, which [`event_text`](super::event_text) writes. It must not know other lines. The line
//! bounds it.

use crate::event::{Failure, Mark};
use crate::transcript::event::{Event, PeerReport, UpstreamOutcome};
use crate::transcript::token::Token;

/// Parses the tokens of an event.
///
/// # Errors
///
/// A message with the problem and a correct example.
pub(super) fn event(tokens: &[Token]) -> Result<Event, String> {
    let Some((Token::Word(word), rest)) = tokens.split_first() else {
        return Err(format!("a byte string without a word before it; {EVENTS}"));
    };
    match (&**word, rest) {
        ("now", [Token::Word(time)]) => match time.strip_prefix('+') {
            Some(time) => nanoseconds(time).map(Event::Advance),
            None => nanoseconds(time).map(Event::Now),
        },
        ("now", _) => Err(format!("expected a time: {NOW_EXAMPLE}")),
        ("random", [first, second]) => {
            let bits = number(first).zip(number(second));
            bits.map(|(first, second)| Event::Random(first, second)).ok_or_else(|| RANDOM_USAGE.into())
        }
        ("random", _) => Err(RANDOM_USAGE.into()),
        ("session", [Token::Word(name)]) => Ok(Event::Session(name.clone())),
        ("session", _) => Err("expected a name: session alice".into()),
        ("node", [Token::Word(name)]) => Ok(Event::Node(name.clone())),
        ("node", _) => Err("expected a name: node Riley".into()),
        ("flood", [from, Token::Word(name)]) if from.is("from") => Ok(Event::Flood { from: name.clone() }),
        ("flood", _) => Err("expected a node: flood from Riley".into()),
        ("input", [Token::Bytes(bytes), mark @ ..]) => {
            let mark = match mark {
                [] => Mark::More,
                [mark] if mark.is("end") => Mark::End,
                [mark] if mark.is("overlong") => Mark::Overlong,
                _ => return Err("only `end` or `overlong` may follow the bytes of an input".into()),
            };
            Ok(Event::Input { bytes: bytes.clone(), mark })
        }
        ("input", _) => Err("expected bytes: input \"IAMAT kiwi +34-118 1479413884\\n\"".into()),
        ("report", rest) => {
            rest.split(|token| token.is("and")).map(report).collect::<Result<_, _>>().map(Event::Reports)
        }
        ("answer", [from, Token::Bytes(upstream), outcome @ ..]) if from.is("from") => {
            Ok(Event::Answer { upstream: Some(upstream.clone()), outcome: self::outcome(outcome)? })
        }
        ("answer", outcome) => Ok(Event::Answer { upstream: None, outcome: self::outcome(outcome)? }),
        _ => Err(format!("`{word}` is not an event; {EVENTS}")),
    }
}

/// Parses `"KEY", "RECORD" form N rank HEX origin "NODE"`.
fn report(tokens: &[Token]) -> Result<PeerReport, String> {
    let usage = || REPORT_USAGE.to_string();
    let [
        Token::Bytes(key),
        comma,
        Token::Bytes(bytes),
        form_word,
        form,
        rank_word,
        rank,
        origin_word,
        Token::Bytes(origin),
    ] = tokens
    else {
        return Err(usage());
    };
    if !(comma.is(",") && form_word.is("form") && rank_word.is("rank") && origin_word.is("origin")) {
        return Err(usage());
    }
    let form = number(form).and_then(|form| u32::try_from(form).ok()).ok_or_else(usage)?;
    let rank = self::rank(rank).ok_or("a rank is an even number of hexadecimal digits, or a dash for none")?;
    Ok(PeerReport { key: key.clone(), bytes: bytes.clone(), form, rank, origin: origin.clone() })
}

fn rank(token: &Token) -> Option<Vec<u8>> {
    let Token::Word(digits) = token else { return None };
    if digits == "-" {
        return Some(vec![]);
    }
    if digits.len() % 2 != 0 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

/// Parses `STATUS "BODY"` or `failed WORD`.
fn outcome(tokens: &[Token]) -> Result<UpstreamOutcome, String> {
    let words = Failure::ALL.map(Failure::word).join(", ");
    match tokens {
        [status @ Token::Word(_), Token::Bytes(body)] => {
            let status = number(status).and_then(|status| u16::try_from(status).ok());
            let status =
                status.filter(|status| (100..1000).contains(status)).ok_or("an HTTP status has three digits")?;
            Ok(UpstreamOutcome::Answered { status, body: body.clone() })
        }
        [failed, Token::Word(word)] if failed.is("failed") => {
            let failure = Failure::ALL.into_iter().find(|failure| failure.word() == word);
            failure
                .map(UpstreamOutcome::Failed)
                .ok_or_else(|| format!("`{word}` is not a failure; choose from {words}"))
        }
        _ => Err(format!(
            "expected a status and a body, or a failure ({words}): answer 200 '{{}}', answer failed timeout"
        )),
    }
}

fn number(token: &Token) -> Option<u64> {
    match token {
        Token::Word(word) => word.parse().ok(),
        _ => None,
    }
}

/// Parses seconds with at most nine decimals.
fn nanoseconds(text: &str) -> Result<u64, String> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    let parsed = || {
        let seconds: u64 = seconds.parse().ok()?;
        let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
        seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
    };
    let valid = digits(seconds) && digits(fraction) && fraction.len() <= 9;
    valid.then(parsed).flatten().ok_or_else(|| format!("`{text}` is not a time: {NOW_EXAMPLE}"))
}

const EVENTS: &str = "known are node, set, live, now, random, session, input, report, flood and answer";
const NOW_EXAMPLE: &str = "now 1479413884.655837, or now +0.5 to advance the clock";
const RANDOM_USAGE: &str = "expected two numbers of 64 bits: random 7 11";
const REPORT_USAGE: &str =
    "expected: report \"KEY\", \"RECORD\" form 1 rank 00ff origin \"Bernard\", and further reports after `and`";
