//! The head: a small file that names the last line, which makes lines cut off at the end detectable, and that records what
//! the bound of the log dropped at the beginning.
//!
//! Owns the format, the MAC and the atomic replacement of that file. Knows nothing about lines and locks: the caller holds
//! the lock. Bounds: [`HEAD_BYTES_MAX`] bytes are read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use herd_model::Digest;
use herd_sys::write_atomically;
use serde::{Deserialize, Serialize};

use super::key::Key;
use super::line::NUMBER_MAX;
use super::mac::Mac;

/// The last line written, and the state of the log at that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of that line, which is also the number of lines written since the log began; 0 before the first.
    pub count: u64,
    /// Hash of that line.
    pub hash: Digest,
    /// Number of the oldest line kept when old files were last removed. Tells the bound of the log from lines that were
    /// removed at the beginning.
    pub first: u64,
    /// Number in the name of the file with the last line; 0 in heads of earlier versions.
    #[serde(default)]
    pub(super) file: u64,
    /// Size of that file, whose last line is the last line of the log; 0 in heads of earlier versions.
    #[serde(default)]
    pub(super) bytes: u64,
    /// The lines before `first`; `None` if there are none, or if an earlier version removed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
}

/// Record of all lines that the bound of the log dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Number of lines, which is also the number of the last of them.
    pub entries: u64,
    /// Hash of the last of them, which the first kept line continues. It pins all of them.
    pub hash: Digest,
    /// Number of entries that dropped lines recorded as lost.
    #[serde(default)]
    pub lost: u64,
    /// First violation found when files were dropped. A tampered file thus leaves a trace when it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Head {
    /// The head of an empty log.
    pub(super) const NONE: Self = Self { count: 0, hash: Digest::ZERO, first: 1, file: 0, bytes: 0, dropped: None };

    /// Reads the file and checks its MAC. Returns `None` if it is missing, unreadable or malformed.
    pub(super) fn read(path: &Path, key: Option<&Key>) -> Option<(Self, Mac)> {
        let mut text = Vec::new();
        File::open(path).ok()?.take(HEAD_BYTES_MAX).read_to_end(&mut text).ok()?;
        let head: Self = serde_json::from_slice(&text).ok()?;
        let mac = text.strip_suffix(b"}\n").map_or(Mac::Absent, |text| Mac::check(text, key));
        let is_bounded = head.count < NUMBER_MAX && (1..=NUMBER_MAX).contains(&head.first) && head.file < NUMBER_MAX;
        is_bounded.then_some((head, mac))
    }

    /// Replaces the file atomically: writes a draft and renames it, so a reader finds the old head or the new one.
    ///
    /// The directory is not synced. A rename that a loss of power undoes leaves a head that is behind the log, which
    /// proves less but nothing wrong.
    pub(super) fn write(&self, path: &Path, key: Option<&Key>) -> io::Result<()> {
        let mut text = serde_json::to_string(self)?;
        if let Some(key) = key {
            text.pop();
            Mac::append(&mut text, key);
            text.push('}');
        }
        // One name for every draft: the caller holds the lock, and drafts of processes that died do not pile up.
        write_atomically(path, &path.with_added_extension("draft"), &[text.as_bytes(), b"\n"])
    }
}

/// Bytes read of a head, which has about 500, and 600 more with a problem of a dropped file.
const HEAD_BYTES_MAX: u64 = 4096;
