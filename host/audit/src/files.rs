//! Names and locking of a log's files: in `audit/` of the state directory `NODE.NUMBER.jsonl` for each file of lines, named
//! after its first entry, `NODE.head` and `NODE.lock`; in `audit-keys/` the key, `NODE`.
//!
//! Owns the names, the directories and the lock. Knows nothing about the content of the files. Bounds:
//! [`FILE_BYTES_MAX`] for a file of lines. The caller bounds the wait for the lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use herd_sys::{create_private_directory, file_name};

use super::line::NUMBER_MAX;

/// The files of one node's log.
#[derive(Clone, Debug)]
pub(super) struct LogFiles {
    directory: PathBuf,
    key: PathBuf,
    stem: String,
}

impl LogFiles {
    pub(super) fn new(state_directory: &Path, node: &str) -> Self {
        let stem = file_name::of(node);
        // Not beside the log, so that a copy or a backup of the log does not contain the key.
        let key = state_directory.join(KEY_DIRECTORY).join(&stem);
        Self { directory: state_directory.join(DIRECTORY), key, stem }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn head(&self) -> PathBuf {
        self.directory.join(format!("{}.head", self.stem))
    }

    pub(super) fn key(&self) -> &Path {
        &self.key
    }

    fn lock_file(&self) -> PathBuf {
        self.directory.join(format!("{}.lock", self.stem))
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
            let number = digits.and_then(|digits| digits.parse::<u64>().ok());
            numbers.extend(number.filter(|&number| number < NUMBER_MAX));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Creates the directory if it is missing, accessible only to its owner.
    pub(super) fn make_directory(&self) -> io::Result<()> {
        create_private_directory(&self.directory)
    }

    /// Syncs the directory, so that a new file in it survives a loss of power.
    pub(super) fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    /// Locks the log of this node against other processes until the returned file is dropped. Creates the lock file.
    ///
    /// Two herds of one name may share a directory, and `herd audit` must not read half of a write. A file system without
    /// locks is used without one. Returns `None` if another process holds the lock for all of `wait_max`.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub(super) fn lock_to_write(&self, wait_max: Duration) -> io::Result<Option<File>> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(self.lock_file())?;
        lock(file, File::try_lock, wait_max)
    }

    /// Locks the log against writers. Creates no file: without a lock file, of an earlier version or a copy, it locks
    /// nothing, as every writer creates one before it writes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] after `wait_max`, or the error of the operating system.
    pub(super) fn lock_to_read(&self, wait_max: Duration) -> io::Result<Option<File>> {
        let file = match File::open(self.lock_file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let locked = lock(file, File::try_lock_shared, wait_max)?;
        locked.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::WouldBlock, "another process holds its lock"))
    }

    /// Reads a file of lines from this byte on.
    ///
    /// # Errors
    ///
    /// The error of the operating system, or the rest is larger than [`FILE_BYTES_MAX`].
    pub(super) fn read_segment(&self, number: u64, from: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut file = File::open(self.segment(number))?;
        file.seek(SeekFrom::Start(from))?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than any file of an audit log"));
        }
        Ok(text)
    }
}

/// Polls, because the blocking calls have no timeout, and a stuck process must not stop this one.
fn lock(file: File, attempt: fn(&File) -> Result<(), TryLockError>, wait_max: Duration) -> io::Result<Option<File>> {
    let deadline = Instant::now() + wait_max;
    loop {
        match attempt(&file) {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
        }
    }
}

/// Name of the directory with the logs, below the state directory of a herd.
pub const DIRECTORY: &str = "audit";
/// Name of the directory with the keys, below the state directory of a herd.
pub const KEY_DIRECTORY: &str = "audit-keys";
const SEGMENT: &str = ".jsonl";
/// Digits of a number in a file name, so that sorting by name sorts by number.
const NUMBER_DIGITS: usize = 9;
const LOCK_POLL: Duration = Duration::from_millis(5);
/// Limit of a file of lines. The writer begins a new one at 1 MiB, so a whole one is far smaller.
pub(super) const FILE_BYTES_MAX: u64 = 16 << 20;
