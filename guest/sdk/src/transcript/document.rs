//! A transcript as its file has it.

use crate::logic::Settings;
use crate::transcript::event::Step;

/// What a file says, in its order.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) settings: Settings,
    pub(super) not_live: Option<String>,
    pub(super) steps: Vec<Step>,
    /// The file in its order.
    pub(super) items: Vec<Item>,
}

/// A part of the file.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A comment, an empty line, or one that is for the whole transcript.
    Verbatim(String),
    /// An event with its effects: an index into the steps.
    Step(usize),
}
