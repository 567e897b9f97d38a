//! An entry: one stage of a swap, who requested it, and its outcome.
//!
//! Owns the fields and the limits of their texts, which come from guests and from other processes. Knows nothing about
//! numbers, times and hashes; see [`Line`](crate::Line).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::loss::Loss;

/// One entry, without the number and time that it gets when it is written. Texts are sanitized and truncated here.
///
/// ```
/// use herd_audit::{Entry, EntryOutcome, Stage};
///
/// let entry = Entry::new("operator mira", Stage::Checked).digest("6ff2ad10").refused("imports nothing\u{1b}[2J");
/// assert_eq!(entry.outcome, EntryOutcome::Refused);
/// assert_eq!(entry.why.as_deref(), Some("imports nothing\u{fffd}[2J"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Requester of the stage: an operator, marked if the name is a claim, or [`THE_NODE_ITSELF`].
    pub who: String,
    /// The stage that was reached, or refused.
    pub stage: Stage,
    /// Outcome of the stage.
    pub outcome: EntryOutcome,
    /// Reason for a refusal, or a remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// SHA-256 of the guest, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Id of the generation on its node, if it has one yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Entries lost before this one; only in a note of the log about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Loss>,
}

/// A stage in the life of a guest on a node, or what an operator did to its records.
///
/// Later versions may add stages: a version that does not know one still verifies the log, and shows the stage as
/// [`Other`](Self::Other).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A swap to these bytes was requested.
    Candidate,
    /// The bytes are a component.
    Parsed,
    /// The component is compiled to machine code.
    Compiled,
    /// Imports and exports match the contract, and the guest accepts its settings.
    Checked,
    /// The guest passed its transcripts and the replay of recent decisions.
    Rehearsed,
    /// The guest is ready for a swap of the whole herd.
    Prepared,
    /// The whole herd swaps to the guest.
    Committed,
    /// A swap of the whole herd to the guest was given up.
    Aborted,
    /// The guest decides for a share of the sessions.
    Canary,
    /// The guest also decides a share of the events, and its effects are discarded.
    Shadow,
    /// The guest decides.
    Active,
    /// The guest decides where the active one fails.
    Previous,
    /// The guest is unloaded.
    Retired,
    /// The guest was active and the previous one decides again.
    RolledBack,
    /// The guest faulted, and the node saved the case.
    Faulted,
    /// Records that were kept while the guest served were forgotten.
    Discarded,
    /// A key was forgotten.
    Forgotten,
    /// The records were copied into a directory.
    BackedUp,
    /// The records of a backup were offered to the node.
    Restored,
    /// The process became another program, with the same sockets.
    Upgraded,
    /// The filter of the node's log lines was changed.
    LogFilter,
    /// An operator brought compiled code of a guest.
    Code,
    /// A note of the log about itself.
    Log,
    /// A stage of a later version.
    #[serde(other)]
    Other,
}

/// Outcome of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryOutcome {
    /// The stage was reached.
    Done,
    /// The stage was refused and nothing changed.
    Refused,
    /// An outcome of a later version.
    #[serde(other)]
    Other,
}

impl Entry {
    /// Creates an entry for a stage that was reached.
    #[must_use]
    pub fn new(who: &str, stage: Stage) -> Self {
        let who = truncate(&sanitize(who), WHO_BYTES_MAX);
        Self { who, stage, outcome: EntryOutcome::Done, why: None, digest: None, generation: None, lost: None }
    }

    /// Sets the digest of the guest.
    #[must_use]
    pub fn digest(mut self, digest: &str) -> Self {
        self.digest = Some(truncate(&sanitize(digest), DIGEST_BYTES_MAX));
        self
    }

    /// Sets the id of the generation.
    #[must_use]
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }

    /// Sets the reason or remark.
    #[must_use]
    pub fn because(mut self, why: &str) -> Self {
        self.why = Some(truncate(&sanitize(why), WHY_BYTES_MAX));
        self
    }

    /// Creates a note of the log about itself.
    pub(super) fn note(text: &str) -> Self {
        Self::new(THE_NODE_ITSELF, Stage::Log).because(text)
    }

    /// Creates the note that entries were lost.
    pub(super) fn note_loss(loss: &Loss) -> Self {
        // The reason may contain a path, so its length is bounded here.
        let loss = Loss { why: truncate(&sanitize(&loss.why), LOSS_WHY_BYTES_MAX), ..loss.clone() };
        Self { lost: Some(loss.clone()), ..Self::note(&loss.to_string()) }
    }

    /// Marks the stage as refused, with the reason.
    #[must_use]
    pub fn refused(mut self, why: &str) -> Self {
        self.outcome = EntryOutcome::Refused;
        self.because(why)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Candidate => "candidate",
            Self::Parsed => "parsed",
            Self::Compiled => "compiled",
            Self::Checked => "checked",
            Self::Rehearsed => "rehearsed",
            Self::Prepared => "prepared",
            Self::Committed => "committed",
            Self::Aborted => "aborted",
            Self::Canary => "canary",
            Self::Shadow => "shadow",
            Self::Active => "active",
            Self::Previous => "previous",
            Self::Retired => "retired",
            Self::RolledBack => "rolled back",
            Self::Faulted => "faulted",
            Self::Discarded => "discarded",
            Self::Forgotten => "forgotten",
            Self::BackedUp => "backed up",
            Self::Restored => "restored",
            Self::Upgraded => "upgraded",
            Self::LogFilter => "log filter",
            Self::Code => "code",
            Self::Log => "log",
            Self::Other => "unknown",
        })
    }
}

impl fmt::Display for EntryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Other => "unknown",
        })
    }
}

/// Replaces characters that would control a terminal or reorder text (control and bidirectional characters) by U+FFFD.
///
/// ```
/// assert_eq!(herd_audit::sanitize("a\u{1b}[31m\u{202e}b"), "a\u{fffd}[31m\u{fffd}b");
/// ```
#[must_use]
pub fn sanitize(text: &str) -> String {
    let is_harmful = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if is_harmful(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// Cuts a text at a character boundary and marks the cut with `...`.
pub(super) fn truncate(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.into();
    }
    format!("{}...", &text[..text.floor_char_boundary(bytes_max)])
}

/// `who` of an entry that no operator requested.
pub const THE_NODE_ITSELF: &str = "the node itself";
/// Limit of `who`: name, uid and host of an operator, and the path of a watched file.
const WHO_BYTES_MAX: usize = 400;
/// Limit of `why`: the message of a trap has a backtrace of a few lines.
const WHY_BYTES_MAX: usize = 2000;
/// Limit of the reason for a loss: the error of an operating system, and a path.
const LOSS_WHY_BYTES_MAX: usize = 400;
/// A SHA-256 in hexadecimal.
const DIGEST_BYTES_MAX: usize = 64;
