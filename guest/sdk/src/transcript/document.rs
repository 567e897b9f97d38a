//! Parsed content of a transcript file.
//!
//! Owns the order of lines, so that a recording changes only unmet expectations. It must not know how events are performed.
//! It is as large as the file.

use crate::logic::Settings;
use crate::transcript::event::Step;

/// Content of a file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// Settings of the first node.
    pub(super) settings: Settings,
    /// Names of all nodes, in the order in which they occur.
    pub(super) nodes: Vec<String>,
    /// True if a string has a wildcard or a variable.
    pub(super) has_patterns: bool,
    pub(super) not_live: Option<String>,
    pub(super) steps: Vec<Step>,
    /// Lines and steps in the order of the file.
    pub(super) items: Vec<Item>,
}

/// Part of a file.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A comment, an empty line, or a line about the whole transcript.
    Verbatim(String),
    /// An event with its expected effects, by its index in the steps.
    Step(usize),
}
