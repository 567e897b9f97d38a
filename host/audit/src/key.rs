//! The key of a node's log: 32 random bytes, in a file of its own outside the directory of the logs.
//!
//! Owns the key file. Knows nothing about lines and heads. The caller holds the lock of the log while it creates a key, so
//! two processes of one node agree on one.
//!
//! Bounds: [`KEY_FILE_BYTES_MAX`] bytes are read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use herd_model::MacKey;
use herd_sys::{create_private_directory, write_atomically};
use serde::{Deserialize, Serialize};

/// Key of one node.
pub(super) struct Key {
    key: MacKey,
    /// First entry written with the key. A line before it needs no MAC; every line from it on does. Kept with the key,
    /// because somebody who can write the log alone must not be able to move this border.
    pub(super) since: u64,
}

/// A key file that cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// The file cannot be read, or its directory or the file cannot be created.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// Others than the owner can read the file, so its MACs prove nothing against them. The operator's fault.
    #[error("{0} can be read by others; it must have mode 0600: chmod 600 {0}")]
    Exposed(PathBuf),
    /// The file does not contain a key.
    #[error("{0} does not contain a key of an audit log; restore it, or move it away")]
    Malformed(PathBuf),
}

/// Content of the key file, one JSON object.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    /// 64 hexadecimal digits.
    key: String,
    since: u64,
}

impl Key {
    /// Reads a key. Returns `None` if the file does not exist.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub(super) fn read(path: &Path) -> Result<Option<Self>, KeyError> {
        let fail = |source| KeyError::Io { path: path.into(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(fail)?,
        };
        if file.metadata().map_err(fail)?.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed(path.into()));
        }
        let mut text = Vec::new();
        file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut text).map_err(fail)?;
        let parsed: Option<KeyFile> = serde_json::from_slice(&text).ok();
        let key = parsed.and_then(|file| Some(Self { key: MacKey::from_digits(&file.key)?, since: file.since }));
        key.map(Some).ok_or_else(|| KeyError::Malformed(path.into()))
    }

    /// Creates a key for the entries from `since` on, and waits until it would survive a loss of power.
    ///
    /// # Errors
    ///
    /// [`KeyError::Io`]. No key exists then.
    pub(super) fn create(path: &Path, since: u64) -> Result<Self, KeyError> {
        let key = MacKey::new(rand::random());
        let file = KeyFile { key: key.digits(), since };
        write_file(path, &file).map_err(|source| KeyError::Io { path: path.into(), source })?;
        Ok(Self { key, since })
    }

    /// Returns the MAC of a text.
    pub(super) fn mac(&self, text: &[u8]) -> String {
        self.key.mac(text)
    }

    /// Returns whether a text has this MAC.
    pub(super) fn verifies(&self, text: &[u8], mac: &str) -> bool {
        self.key.verifies(text, mac)
    }
}

/// Writes the key and syncs its directory: lines may exist only after the key that proves them is safe.
fn write_file(path: &Path, content: &KeyFile) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    create_private_directory(directory)?;
    let text = serde_json::to_vec(content)?;
    write_atomically(path, &path.with_added_extension("draft"), &[&text, b"\n"])?;
    File::open(directory)?.sync_all()
}

/// Bytes read of a key file, which has about 90.
const KEY_FILE_BYTES_MAX: u64 = 1024;
