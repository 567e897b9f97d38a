//! Expectations about a reply, read line by line and checked.

use std::time::Duration;

use serde_json::Value;

use super::connection::Reply;
use super::pattern::{Found, Pattern};
use super::text::{Text, Values, Words};

/// All expectations about one reply. Empty at first.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// The whole reply.
    pub(super) reply: Option<Text>,
    /// State of the connection after the reply.
    pub(super) then: Option<Then>,
    /// Name under which its first line is kept for later steps.
    pub(super) keep: Option<String>,
    pub(super) within: Option<Duration>,
    pub(super) attempts: Attempts,
    checks: Vec<Check>,
}

/// State of a connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Open,
    Closed,
}

/// Repetition of a command whose reply does not match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Attempts {
    #[default]
    Once,
    Eventually,
}

#[derive(Clone, Debug)]
enum Check {
    Skew(f64, f64),
    Results(usize),
    Status(String),
    Keys(Vec<String>),
    Names(Vec<String>),
    Newlines(usize),
    OnePiece,
}

impl Expected {
    /// Adds the expectation of a line.
    ///
    /// # Errors
    ///
    /// The line is no known expectation.
    pub(super) fn add(&mut self, words: &Words) -> Result<(), String> {
        let bare: Vec<&str> = words.bare.iter().map(String::as_str).collect();
        match (&*bare, words.text()) {
            (["reply"], Some(text)) => self.reply = Some(text),
            (["keep", name], None) => self.keep = Some((*name).into()),
            (["then", "open"], None) => self.then = Some(Then::Open),
            (["then", "closed"], None) => self.then = Some(Then::Closed),
            (["within", ms, "ms"], None) => self.within = Some(Duration::from_millis(number(ms)?)),
            (["eventually"], None) => self.attempts = Attempts::Eventually,
            (["skew", low, "to", high], None) => self.checks.push(Check::Skew(number(low)?, number(high)?)),
            (["results", count], None) => self.checks.push(Check::Results(number(count)?)),
            (["status", status], None) => self.checks.push(Check::Status((*status).into())),
            (["keys", keys @ ..], None) if !keys.is_empty() => {
                self.checks.push(Check::Keys(keys.iter().map(ToString::to_string).collect()));
            }
            (["names"], Some(_)) => {
                let name = |text: &Text| String::from_utf8_lossy(&text.filled(&Values::new())).into_owned();
                self.checks.push(Check::Names(words.texts.iter().map(name).collect()));
            }
            (["newlines", count], None) => self.checks.push(Check::Newlines(number(count)?)),
            (["in", "one", "piece"], None) => self.checks.push(Check::OnePiece),
            (_, _) => return Err(format!("`{}` is nothing to expect", bare.join(" "))),
        }
        Ok(())
    }

    /// Returns whether nothing is expected of a reply.
    pub(super) fn is_empty(&self) -> bool {
        self.reply.is_none() && self.checks.is_empty() && self.then.is_none() && self.keep.is_none()
    }

    /// Checks a reply.
    ///
    /// # Errors
    ///
    /// The expected and the actual reply.
    pub(super) fn check(&self, reply: &Reply, values: &Values) -> Result<(), String> {
        let Some(text) = &self.reply else { return Ok(()) };
        let came = || format!("came: {}", shown(&reply.bytes));
        let found = Pattern::new(text, values).find(&reply.bytes);
        let found = found.ok_or_else(|| format!("expected: {}\n{}", expected(text, values), came()))?;
        for check in &self.checks {
            check.holds(reply, &found).map_err(|wrong| format!("{wrong}\n{}", came()))?;
        }
        Ok(())
    }
}

impl Check {
    fn holds(&self, reply: &Reply, found: &Found) -> Result<(), String> {
        let json = || found.json.as_ref().ok_or("expected: JSON".to_string());
        let results = || Ok::<_, String>(json()?["results"].as_array().ok_or("expected: a list of results")?);
        match self {
            Self::Skew(low, high) => {
                let inside = found.skew.is_some_and(|skew| (*low..=*high).contains(&skew));
                held(inside, || format!("expected: a skew of {low} to {high}"))
            }
            Self::Results(count) => {
                let came = results()?.len();
                held(came == *count, || format!("expected: {count} results, not {came}"))
            }
            Self::Status(status) => held(json()?["status"] == **status, || format!("expected: status {status}")),
            Self::Keys(keys) => {
                let json = json()?;
                let missing = keys.iter().find(|key| json.get(key).is_none());
                held(missing.is_none(), || format!("expected: the keys {keys:?}"))
            }
            Self::Names(names) => {
                let results = results()?;
                let same = names.iter().enumerate().all(|(at, name)| {
                    results.get(at).and_then(|result| result["name"].as_str()).is_some_and(|came| came == name)
                });
                let came: Vec<&Value> = results.iter().map(|result| &result["name"]).collect();
                held(same, || format!("expected: first the names {names:?}, not {came:?}"))
            }
            Self::Newlines(count) => {
                let came = reply.bytes.iter().filter(|byte| **byte == b'\n').count();
                held(came == *count, || format!("expected: {count} newlines, not {came}"))
            }
            Self::OnePiece => held(reply.first == reply.bytes.len(), || {
                format!("expected: one piece, but the first had {} bytes of {}", reply.first, reply.bytes.len())
            }),
        }
    }
}

pub(super) fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number that fits here"))
}

/// Formats bytes for a message: only the first and the last of many.
pub(super) fn shown(bytes: &[u8]) -> String {
    match bytes.len().checked_sub(SHOWN_FIRST + SHOWN_LAST) {
        None | Some(0) => format!("\"{}\"", bytes.escape_ascii()),
        Some(more) => {
            let (first, last) = (&bytes[..SHOWN_FIRST], &bytes[SHOWN_FIRST + more..]);
            format!("\"{}\" ... {more} bytes ... \"{}\"", first.escape_ascii(), last.escape_ascii())
        }
    }
}

/// Formats a pattern for a message: known names are filled in, wildcards stay.
fn expected(text: &Text, values: &Values) -> String {
    let wild = super::pattern::WILD.map(|name| (name.to_string(), format!("{{{name}}}").into_bytes()));
    let values: Values = values.clone().into_iter().chain(wild).collect();
    shown(&text.filled(&values))
}

fn held(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}

/// Enough for a line and the beginning of its JSON.
const SHOWN_FIRST: usize = 300;
/// Enough for the status and the end of the JSON.
const SHOWN_LAST: usize = 100;
