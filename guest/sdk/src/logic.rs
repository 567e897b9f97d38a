//! The trait that a guest implements.

use std::fmt;

use crate::context::Context;
use crate::event::{Input, Outcome, Progress, Reports};

/// Protocol logic: decides what a node does with what its clients and peers send.
///
/// A value holds what [`configure`](Logic::configure) made of the settings and nothing else. Any
/// instance may vanish between two calls, so nothing that is learnt in a call may be kept for the next.
pub trait Logic: Sized {
    /// Says what the guest is.
    fn describe() -> Description;

    /// Makes the logic from its settings.
    ///
    /// # Errors
    ///
    /// The first setting that is unknown or cannot be used. The node does not start, or the swap is
    /// refused, with these words.
    fn configure(settings: &Settings) -> Result<Self, BadSetting>;

    /// Decides what a session brought. One call of a guest takes the inputs of several sessions, each of which comes here.
    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress;

    /// Decides a batch of reports from a peer. Those that are not refused are kept: all, unless overridden.
    fn reports(&self, _reports: Reports<'_>, _turn: &mut Context<'_>) {}

    /// Decides the answer to a fetch; `token` and `otherwise` are those of the fetch. Replies `otherwise` unless
    /// overridden.
    fn answer(&self, _token: &[u8], otherwise: &[u8], _outcome: Outcome<'_>, context: &mut Context<'_>) {
        context.reply(otherwise);
    }
}

/// What a guest says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// A short name.
    pub name: String,
    /// Any text.
    pub version: String,
    /// The command words it knows.
    pub commands: Vec<String>,
}

/// What an instance is told once, before its first call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The name of the node.
    pub node: String,
    /// Name and value, sorted by name, each name once.
    pub table: Vec<(String, String)>,
}

impl Settings {
    /// The value of a setting.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.table.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A setting that cannot be used. The guest's author or the operator is at fault; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    /// Which setting.
    pub name: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting `{}`: {}", self.name, self.problem)
    }
}

impl std::error::Error for BadSetting {}
