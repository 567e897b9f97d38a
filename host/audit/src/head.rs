//! The head: a small file that names the last line, which makes lines cut off at the end detectable.
//!
//! Owns the format and the atomic replacement of that file. Knows nothing about lines and locks: the caller holds the
//! lock. Bounds: [`HEAD_BYTES_MAX`] bytes are read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use herd_model::Digest;
use herd_sys::write_atomically;
use serde::{Deserialize, Serialize};

use super::line::NUMBER_MAX;

/// The last line written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of that line, which is also the number of lines written since the log began; 0 before the first.
    pub count: u64,
    /// Hash of that line.
    pub hash: Digest,
    /// Number of the oldest line kept when old files were last removed. Tells rotation from lines that were removed at
    /// the beginning.
    pub first: u64,
}

impl Head {
    /// The head of an empty log.
    pub(super) const NONE: Self = Self { count: 0, hash: Digest::ZERO, first: 1 };

    /// Reads the file. Returns `None` if it is missing, unreadable or malformed.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let mut text = Vec::new();
        File::open(path).ok()?.take(HEAD_BYTES_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok().filter(|head: &Self| head.count < NUMBER_MAX)
    }

    /// Replaces the file atomically: writes a draft and renames it, so a reader finds the old head or the new one.
    ///
    /// The directory is not synced. A rename that a loss of power undoes leaves a head that is behind the log, which
    /// proves less but nothing wrong.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        // One name for every draft: the caller holds the lock, and drafts of processes that died do not pile up.
        write_atomically(path, &path.with_added_extension("draft"), &[&serde_json::to_vec(self)?, b"\n"])
    }
}

/// Bytes read of a head, which has about 120.
const HEAD_BYTES_MAX: u64 = 1024;
