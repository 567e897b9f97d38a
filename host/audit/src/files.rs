//! Names and locking of a log's files: `NODE.NUMBER.jsonl` for each file of lines, named after its first entry, and
//! `NODE.head`.
//!
//! Owns the names, the directory and its lock. Knows nothing about the content of the files. Bounds: [`LOCK_WAIT_MAX`]
//! for the lock.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use herd_sys::file_name;

/// The files of one node's log in a directory.
#[derive(Clone, Debug)]
pub(super) struct LogFiles {
    directory: PathBuf,
    stem: String,
}

/// Kind of access to lock for: any number of readers, or one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl LogFiles {
    pub(super) fn new(directory: &Path, node: &str) -> Self {
        Self { directory: directory.into(), stem: file_name::of(node) }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn head(&self) -> PathBuf {
        self.directory.join(format!("{}.head", self.stem))
    }

    /// Returns the path of the file whose first entry has this number.
    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.directory.join(format!("{}.{first:0NUMBER_DIGITS$}{SEGMENT}", self.stem))
    }

    /// Lists the files of lines by the numbers of their first entries, in ascending order.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let digits = name
                .to_str()
                .and_then(|name| name.strip_prefix(&*self.stem)?.strip_prefix('.')?.strip_suffix(SEGMENT))
                // The files of node `a.1` begin like those of node `a`, but never with digits alone.
                .filter(|digits| digits.len() >= NUMBER_DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit()));
            numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Creates the directory if it is missing, accessible only to its owner.
    pub(super) fn make_directory(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }

    /// Syncs the directory, so that a new file in it survives a loss of power.
    pub(super) fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    /// Locks the directory against other processes until the returned file is dropped.
    ///
    /// Two herds of one name may share a directory, and `herd audit` must not read half of a write. A file system without
    /// locks is used without one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] after [`LOCK_WAIT_MAX`], or the error of the operating system.
    pub(super) fn lock(&self, access: Access) -> io::Result<File> {
        let directory = File::open(&self.directory)?;
        let deadline = Instant::now() + LOCK_WAIT_MAX;
        // Polling, because the blocking calls have no timeout, and a stuck process must not stop this one.
        loop {
            let locked = match access {
                Access::Read => directory.try_lock_shared(),
                Access::Write => directory.try_lock(),
            };
            match locked {
                Ok(()) => return Ok(directory),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(directory),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process holds its lock"));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
            }
        }
    }
}

const SEGMENT: &str = ".jsonl";
/// Digits of a number in a file name, so that sorting by name sorts by number.
const NUMBER_DIGITS: usize = 9;
/// Time limit for the lock. A holder reads or writes a few MiB at most, so this is long.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(5);
