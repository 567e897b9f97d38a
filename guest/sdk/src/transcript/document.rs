//! Parsed content of a transcript file.
//!
//! Owns the order of lines, so that a recording changes only unmet expectations. It must not know how events are performed.
//! It is as large as the file.

use crate::logic::Settings;
use crate::transcript::event::Step;

/// Content of a file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) settings: Settings,
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
