//! Steps of a case.

use std::time::Duration;

use super::answers::{Answer, BlankLines, Results};
use super::expected::{Expected, number};
use super::text::{Text, Values, Words};

/// A step with its expectations.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) action: Action,
    pub(super) expected: Expected,
}

/// Action of a step.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Names a time, `offset_s` seconds from now.
    Time {
        name: String,
        offset_s: i64,
    },
    /// Sends a command to each of these nodes, on a connection of its own, and half-closes.
    Ask {
        nodes: Vec<String>,
        text: Text,
    },
    /// Sends `count` commands at once, each on a connection of its own.
    Burst {
        count: usize,
        node: String,
        text: Text,
    },
    Open {
        connection: String,
        node: String,
    },
    Send {
        connection: String,
        text: Text,
        pace: Pace,
    },
    Receive {
        connection: String,
    },
    /// Half-closes.
    End {
        connection: String,
    },
    Close {
        connection: String,
    },
    Reset {
        connection: String,
    },
    Start {
        nodes: Vec<String>,
    },
    Kill {
        nodes: Vec<String>,
    },
    Stop {
        nodes: Vec<String>,
    },
    Continue {
        nodes: Vec<String>,
    },
    Wait {
        time: Duration,
    },
    /// Sets the answer of the stand-in for places.
    Places {
        answer: Answer,
    },
    /// Expects this many requests at the stand-in since the case began.
    Asked {
        count: usize,
    },
    /// Expects this radius, in metres, in the last request.
    AskedWithin {
        radius_m: f64,
    },
    /// Expects this position, in degrees, in the last request.
    AskedNear {
        latitude: f64,
        longitude: f64,
    },
}

/// Pace at which bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    AtOnce,
    ByteByByte,
}

impl Step {
    /// Reads a step. `nodes` are the nodes of the herd.
    ///
    /// # Errors
    ///
    /// The step or a node is unknown.
    pub(super) fn read(line: usize, words: &Words, nodes: &[String]) -> Result<Self, String> {
        let action = Action::read(words)?;
        match action.nodes().iter().find(|node| !nodes.contains(node)) {
            Some(unknown) => Err(format!("the herd has no node {unknown}")),
            None => Ok(Self { line, action, expected: Expected::default() }),
        }
    }

    /// Returns whether the step has a reply, and so expectations.
    pub(super) fn replies(&self) -> bool {
        matches!(self.action, Action::Ask { .. } | Action::Burst { .. } | Action::Receive { .. })
    }
}

impl Action {
    fn read(words: &Words) -> Result<Self, String> {
        let bare: Vec<&str> = words.bare.iter().map(String::as_str).collect();
        let several = |nodes: &[&str]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let one = |name: &&str| (*name).to_string();
        Ok(match (&*bare, words.text()) {
            (["time", name, offset_s], None) => Self::Time { name: one(name), offset_s: number(offset_s)? },
            (["ask", nodes @ ..], Some(text)) if !nodes.is_empty() => Self::Ask { nodes: several(nodes), text },
            (["burst", count, node], Some(text)) => Self::Burst { count: number(count)?, node: one(node), text },
            (["open", name, node], None) => Self::Open { connection: one(name), node: one(node) },
            (["send", name], Some(text)) => Self::Send { connection: one(name), text, pace: Pace::AtOnce },
            (["send", name, "byte", "by", "byte"], Some(text)) => {
                Self::Send { connection: one(name), text, pace: Pace::ByteByByte }
            }
            (["receive", name], None) => Self::Receive { connection: one(name) },
            (["end", name], None) => Self::End { connection: one(name) },
            (["close", name], None) => Self::Close { connection: one(name) },
            (["reset", name], None) => Self::Reset { connection: one(name) },
            (["start", nodes @ ..], None) if !nodes.is_empty() => Self::Start { nodes: several(nodes) },
            (["kill", nodes @ ..], None) if !nodes.is_empty() => Self::Kill { nodes: several(nodes) },
            (["stop", nodes @ ..], None) if !nodes.is_empty() => Self::Stop { nodes: several(nodes) },
            (["continue", nodes @ ..], None) if !nodes.is_empty() => Self::Continue { nodes: several(nodes) },
            (["wait", ms, "ms"], None) => Self::Wait { time: Duration::from_millis(number(ms)?) },
            (["places", "were", "asked", count, "times"], None) => Self::Asked { count: number(count)? },
            (["places", "were", "asked", "within", radius, "m"], None) => {
                Self::AskedWithin { radius_m: number(radius)? }
            }
            (["places", "were", "asked", "near", latitude, longitude], None) => {
                Self::AskedNear { latitude: number(latitude)?, longitude: number(longitude)? }
            }
            (["places", what @ ..], text) => Self::Places { answer: answer(what, text)? },
            _ => return Err(format!("`{}` is no step", bare.join(" "))),
        })
    }

    /// The string that it sends, if any.
    pub(super) fn text(&self) -> Option<&Text> {
        match self {
            Self::Ask { text, .. } | Self::Burst { text, .. } | Self::Send { text, .. } => Some(text),
            _ => None,
        }
    }

    fn nodes(&self) -> &[String] {
        match self {
            Self::Burst { node, .. } | Self::Open { node, .. } => std::slice::from_ref(node),
            Self::Ask { nodes, .. }
            | Self::Start { nodes }
            | Self::Kill { nodes }
            | Self::Stop { nodes }
            | Self::Continue { nodes } => nodes,
            _ => &[],
        }
    }
}

/// Reads the words after `places`.
fn answer(words: &[&str], text: Option<Text>) -> Result<Answer, String> {
    let text = text.map(|text| text.filled(&Values::new()));
    let results = Results::default();
    Ok(match (words, text) {
        (["refuse"], None) => Answer::Refuse,
        (["give", "body"], Some(body)) => Answer::Body(body),
        (["give", "http", status], None) => Answer::Status(number(status)?),
        (["give", "results", "after", ms, "ms"], None) => Answer::Slow(Duration::from_millis(number(ms)?)),
        (["give", "results", "called"], Some(name)) => Answer::Results(Results { called: Some(name), ..results }),
        (["give", "results", "with", "blank", "lines"], None) => {
            Answer::Results(Results { blank_lines: BlankLines::With, ..results })
        }
        (["give", count, "results"], None) => Answer::Results(Results { count: number(count)?, ..results }),
        (["give", count, "results", "with", "status", status], None) => {
            Answer::Results(Results { count: number(count)?, status: (*status).into(), ..results })
        }
        _ => return Err(format!("`places {}` is no step", words.join(" "))),
    })
}
