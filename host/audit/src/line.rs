//! A line: an entry with its number, its time and its place in the chain.

use herd_model::Digest;
use serde::{Deserialize, Serialize};

use super::entry::Entry;

/// One line of the log, without the hash that it ends with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// From 1, without gaps, across all files of a node.
    pub number: u64,
    /// When, for people.
    pub at: String,
    /// When, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// On which node: a line of another node's log does not fit in here.
    pub node: String,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
    /// The hash of the line before.
    pub previous: Digest,
}

/// What is wrong with a line, or with what should be there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is not what this program writes.
    #[error("this is no line of an audit log")]
    Foreign,
    /// It was edited.
    #[error("this line was changed: it does not have the hash that it ends with")]
    Changed,
    /// It was written for another node.
    #[error("this line is from the log of node {0}")]
    OtherNode(String),
    /// Lines before it were removed, or lines were put in, or it was moved.
    #[error("entry {found} stands where entry {expected} belongs: lines were removed, put in or moved")]
    OutOfOrder {
        /// The number that belongs here.
        expected: u64,
        /// The number that is here.
        found: u64,
    },
    /// It has the right number and belongs after another line: the one before it was written anew.
    #[error("entry {0} does not follow the line before it, which was written anew")]
    Unchained(u64),
    /// Lines are missing at the end.
    #[error("the log ends with entry {found}, and {written} were written: lines are missing at the end")]
    Truncated {
        /// The last number that is there.
        found: u64,
        /// The last number that was written.
        written: u64,
    },
    /// The last line was written anew, with a hash that fits.
    #[error("entry {0} is not the one that the head names: it was written anew")]
    NotTheHead(u64),
    /// The oldest lines are missing, and not because the log was kept small.
    #[error("the log begins with entry {found}, and entry {kept} was kept: lines are missing at the beginning")]
    Headless {
        /// The first number that is there.
        found: u64,
        /// The first number that should be there.
        kept: u64,
    },
    /// The head is not there, or is not one: nobody can say whether lines are missing at the end.
    #[error("this file must name the last entry, and does not: lines may be missing at the end of the log")]
    NoHead,
}

impl Line {
    /// The line as it is written, without its newline, and its hash.
    pub(super) fn seal(&self) -> serde_json::Result<(String, Digest)> {
        let mut text = serde_json::to_string(self)?;
        text.pop();
        let hash = Digest::of(text.as_bytes());
        text.push_str(&format!("{BEFORE_HASH}{hash}{AFTER_HASH}"));
        Ok((text, hash))
    }

    /// Reads a line and checks its hash.
    pub(super) fn open(text: &[u8]) -> Result<(Self, Digest), Flaw> {
        // The hash comes first: what was edited may not be JSON any more.
        let (sealed, hash) = unseal(text).ok_or(Flaw::Foreign)?;
        if Digest::of(sealed) != hash {
            return Err(Flaw::Changed);
        }
        Self::read(text).ok_or(Flaw::Foreign)
    }

    /// Reads a line, whether or not it was changed.
    pub(super) fn read(text: &[u8]) -> Option<(Self, Digest)> {
        let (_, hash) = unseal(text)?;
        let line = serde_json::from_slice(text).ok().filter(|line: &Self| line.number < NUMBER_MAX)?;
        Some((line, hash))
    }
}

/// Tells what a hash is of from the hash.
fn unseal(text: &[u8]) -> Option<(&[u8], Digest)> {
    let (sealed, seal) = text.split_at_checked(text.len().checked_sub(SEAL_BYTES)?)?;
    let digits = seal.strip_prefix(BEFORE_HASH.as_bytes())?.strip_suffix(AFTER_HASH.as_bytes())?;
    // `Digest` reads upper case too, which would accept a line whose last bytes were changed.
    let lower = digits.iter().all(|digit| !digit.is_ascii_uppercase());
    let hash = str::from_utf8(digits).ok().filter(|_| lower)?.parse().ok()?;
    Some((sealed, hash))
}

const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";
/// A SHA-256 in hexadecimal.
const DIGEST_DIGITS: usize = 64;
const SEAL_BYTES: usize = BEFORE_HASH.len() + DIGEST_DIGITS + AFTER_HASH.len();
/// No node has so many, and counting on from here does not overflow, whatever somebody has written into a file.
pub(super) const NUMBER_MAX: u64 = 1 << 48;
