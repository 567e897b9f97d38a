//! The head: a small file that names the last line, so that lines which are cut off at the end are missed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use herd_model::Digest;
use serde::{Deserialize, Serialize};

use super::line::NUMBER_MAX;

/// The last line that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number, which is how many were written since the log began; 0 before the first.
    pub count: u64,
    /// Its hash.
    pub hash: Digest,
    /// The number of the oldest line that was kept when the log was last kept small.
    pub first: u64,
}

impl Head {
    /// Before the first line.
    pub(super) const NONE: Self = Self { count: 0, hash: Digest::ZERO, first: 1 };

    /// Reads the file. Nothing if it is not there or is no head.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let mut text = Vec::new();
        File::open(path).ok()?.take(HEAD_BYTES_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok().filter(|head: &Self| head.count < NUMBER_MAX)
    }

    /// Writes the file whole under another name, and renames it: there is the old head or the new one, and never half of
    /// one. Whether the rename itself survives a loss of power does not matter: a head that is behind proves less, and
    /// nothing wrong.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let draft = path.with_added_extension("draft");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}", serde_json::to_string(self)?)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    }
}

/// Some 120 bytes.
const HEAD_BYTES_MAX: u64 = 1024;
