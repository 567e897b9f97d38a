//! What is written down: a stage of a swap, who asked for it, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One entry, before it has its number and its time: `Entry::new(who, Stage::Checked).digest(digest).refused(why)`.
///
/// Texts come from guests and from other processes; they are cleaned and cut here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who asked, in words.
    pub who: String,
    /// The stage that was reached, or was not.
    pub stage: Stage,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, or what else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The SHA-256 of the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The number of the generation on its node, if it has one yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// A stage in the life of a guest on a node. New ones are added at will: a version that does not know one still verifies
/// the log, and shows it as [`Other`](Self::Other).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Somebody asked for a swap to these bytes.
    Candidate,
    /// They are a component.
    Parsed,
    /// It is machine code.
    Compiled,
    /// Its imports and exports fit, and it takes its settings.
    Checked,
    /// It passed its transcripts and the last recorded decisions.
    Rehearsed,
    /// It is ready for a swap of the whole herd.
    Prepared,
    /// The whole herd swaps to it.
    Committed,
    /// A swap of the whole herd to it was given up.
    Aborted,
    /// A share of the sessions is decided by it.
    Canary,
    /// A share of the events is decided by it too, and the effects are thrown away.
    Shadow,
    /// It decides.
    Active,
    /// It decides what the active one cannot.
    Previous,
    /// It is gone.
    Retired,
    /// It was active, and the one before it decides again.
    RolledBack,
    /// It faulted on something that is kept.
    Faulted,
    /// The log says something about itself.
    Log,
    /// A later version wrote this.
    #[serde(other)]
    Other,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The stage was reached.
    Done,
    /// It was not, and nothing changed.
    Refused,
    /// A later version wrote this.
    #[serde(other)]
    Other,
}

impl Entry {
    /// A stage that was reached.
    #[must_use]
    pub fn new(who: &str, stage: Stage) -> Self {
        let who = cut(&harmless(who), WHO_BYTES_MAX);
        Self { who, stage, outcome: Outcome::Done, why: None, digest: None, generation: None }
    }

    /// With the digest of the guest.
    #[must_use]
    pub fn digest(mut self, digest: &str) -> Self {
        self.digest = Some(cut(&harmless(digest), DIGEST_BYTES_MAX));
        self
    }

    /// With the number of the generation.
    #[must_use]
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }

    /// With a reason, or what else there is to say.
    #[must_use]
    pub fn because(mut self, why: &str) -> Self {
        self.why = Some(cut(&harmless(why), WHY_BYTES_MAX));
        self
    }

    /// The stage was not reached.
    #[must_use]
    pub fn refused(mut self, why: &str) -> Self {
        self.outcome = Outcome::Refused;
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
            Self::Log => "log",
            Self::Other => "unknown",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Other => "unknown",
        })
    }
}

/// Takes from a text what would do something to a terminal, or would have it read in another order than it is written.
#[must_use]
pub fn harmless(text: &str) -> String {
    let harmful = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if harmful(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.into();
    }
    format!("{}...", &text[..text.floor_char_boundary(bytes_max)])
}

/// Who asked when nobody did.
pub const THE_NODE_ITSELF: &str = "the node itself";
/// Name, number and host of an operator, with room for the file that is watched.
const WHO_BYTES_MAX: usize = 400;
/// A trap of a guest brings a backtrace of a few lines.
const WHY_BYTES_MAX: usize = 2000;
/// A SHA-256, in hexadecimal.
const DIGEST_BYTES_MAX: usize = 64;
