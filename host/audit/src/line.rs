//! A line of the log: an entry with its number, its time and its link to the line before.
//!
//! Owns the text format, the hash and the MAC of one line. Knows nothing about files or the order of lines.
//!
//! Bounds: entries have bounded texts, so a line has at most about 10 KiB; a number is below [`NUMBER_MAX`].

use herd_model::Digest;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::flaw::Flaw;
use super::key::Key;
use super::mac::Mac;

/// One line of the log, without the hash that it ends with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Sequence number: from 1, without gaps, across all files of a node.
    pub number: u64,
    /// Time of the event, for people.
    pub at: String,
    /// Time of the event in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// Name of the node. Ties the line to the log of one node.
    pub node: String,
    /// The event.
    #[serde(flatten)]
    pub entry: Entry,
    /// Hash of the line before; 64 zeros in the first line.
    pub previous: Digest,
    /// HMAC-SHA-256 over all bytes before `,"mac":`, with the key of the node; `None` in a line of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

impl Line {
    /// Returns the text of the line, without its newline, and its hash. The MAC is computed here.
    pub(super) fn encode(&self, key: Option<&Key>) -> serde_json::Result<(String, Digest)> {
        let mut text = serde_json::to_string(&Self { mac: None, ..self.clone() })?;
        text.pop();
        if let Some(key) = key {
            Mac::append(&mut text, key);
        }
        let hash = Digest::of(text.as_bytes());
        text.push_str(&format!("{BEFORE_HASH}{hash}{AFTER_HASH}"));
        Ok((text, hash))
    }

    /// Decodes a line, verifies its hash and checks its MAC.
    pub(super) fn decode_verified(text: &[u8], key: Option<&Key>) -> Result<(Self, Digest, Mac), Flaw> {
        // The hash is checked before the JSON: an edit may have broken the JSON, and is still to be named an edit.
        let (hashed, hash) = split_hash(text).ok_or(Flaw::NotALine)?;
        if Digest::of(hashed) != hash {
            return Err(Flaw::Changed);
        }
        let (line, hash) = Self::decode_unverified(text).ok_or(Flaw::NotALine)?;
        Ok((line, hash, Mac::check(hashed, key)))
    }

    /// Decodes a line and returns the hash that it ends with, correct or not.
    pub(super) fn decode_unverified(text: &[u8]) -> Option<(Self, Digest)> {
        let (_, hash) = split_hash(text)?;
        let line = serde_json::from_slice(text).ok().filter(|line: &Self| line.number < NUMBER_MAX)?;
        Some((line, hash))
    }
}

/// Splits a line into the bytes that are hashed and the hash.
fn split_hash(text: &[u8]) -> Option<(&[u8], Digest)> {
    let (hashed, ending) = text.split_at_checked(text.len().checked_sub(ENDING_BYTES)?)?;
    let digits = ending.strip_prefix(BEFORE_HASH.as_bytes())?.strip_suffix(AFTER_HASH.as_bytes())?;
    // `Digest` also parses upper case. Accepting it here would miss a change to these digits, the only bytes of a line
    // that no hash covers.
    let is_lower_case = digits.iter().all(|digit| !digit.is_ascii_uppercase());
    let hash = str::from_utf8(digits).ok().filter(|_| is_lower_case)?.parse().ok()?;
    Some((hashed, hash))
}

const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";
/// A SHA-256 in hexadecimal.
const DIGEST_DIGITS: usize = 64;
const ENDING_BYTES: usize = BEFORE_HASH.len() + DIGEST_DIGITS + AFTER_HASH.len();
/// Limit of a line's number. No node reaches it, and incrementing a forged number below it cannot overflow.
pub(super) const NUMBER_MAX: u64 = 1 << 48;
