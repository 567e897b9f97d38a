//! Where the log of a node lies: `NODE.NUMBER.jsonl` for each file, named after its first entry and `NODE.head`.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use herd_sys::file_name;

/// The files of one node in one directory.
#[derive(Clone, Debug)]
pub(super) struct Files {
    directory: PathBuf,
    stem: String,
}

/// What may be done while somebody else does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Files {
    pub(super) fn new(directory: &Path, node: &str) -> Self {
        Self { directory: directory.into(), stem: file_name::of(node) }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn head(&self) -> PathBuf {
        self.directory.join(format!("{}.head", self.stem))
    }

    /// The file that begins with an entry.
    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.directory.join(format!("{}.{first:0NUMBER_DIGITS$}{SEGMENT}", self.stem))
    }

    /// The first entries of the files that are there, in order.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&*self.stem)?.strip_prefix('.'));
            let number = number.and_then(|number| number.strip_suffix(SEGMENT));
            let right =
                |number: &&str| number.len() >= NUMBER_DIGITS && number.bytes().all(|digit| digit.is_ascii_digit());
            numbers.extend(number.filter(right).and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes the directory, for its owner alone.
    pub(super) fn make_directory(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }

    /// Has a new name in the directory survive a loss of power.
    pub(super) fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    /// Keeps other processes from writing, until it is dropped: two herds of one name may share a directory, and `herd
    /// audit` must not see half of what a node writes. Where the file system knows no locks, there is none.
    pub(super) fn lock(&self, access: Access) -> io::Result<File> {
        let directory = File::open(&self.directory)?;
        let deadline = Instant::now() + LOCK_MAX;
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
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            }
        }
    }
}

const SEGMENT: &str = ".jsonl";
/// So that a listing by name is one by number.
const NUMBER_DIGITS: usize = 9;
/// Whoever holds the lock writes or reads some files of a MiB.
const LOCK_MAX: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(5);
