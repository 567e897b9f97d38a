//! Findings of a recovery.

use std::fmt;
use std::io;

use crate::file_head::Follows;

/// Outcome of [`recover`](crate::recover): what was read, what is damaged, and where the log goes on.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Entries delivered.
    pub entries: u64,
    /// Entries of kinds that this version does not know and may skip.
    pub skipped: u64,
    /// Bytes of the snapshot that was read, 0 without one.
    pub snapshot_bytes: u64,
    /// Bytes of the log files behind it.
    pub log_bytes: u64,
    /// Incomplete end of the last log file, as a crash leaves it, and files that a crash left without a whole head. No whole entry
    /// is missing.
    pub torn: Vec<TornTail>,
    /// Damaged places, at most [`DAMAGES_MAX`] of them.
    pub damages: Vec<Damage>,
    /// Number of all damaged places.
    pub damaged: u64,
    /// Entries are missing before the end of the log: what stands behind them was delivered with `intact` false.
    pub holes: bool,
    pub(crate) next_number: u64,
    /// End of the log.
    pub(crate) follows: Follows,
    pub(crate) log_files: u64,
    /// Entries that may not be on disk, although they can be read.
    pub(crate) doubtful: Vec<Doubtful>,
    /// Everything in the log files is doubtful.
    pub(crate) doubts_all: bool,
}

/// Part of a log file behind the last known sync. A sync that failed may have left it in memory only, as if it were on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubtful {
    pub(crate) number: u64,
    pub(crate) salt: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Incomplete end of a log file. [`Log::begin`](crate::Log::begin) cuts it off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Name of the file.
    pub file: String,
    /// Bytes of whole entries before it.
    pub offset: u64,
    /// Bytes of the tail.
    pub bytes: u64,
}

/// A damaged place in a file of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Name of the file.
    pub file: String,
    /// Offset of the first damaged byte.
    pub offset: u64,
    /// Bytes that could not be used; 0 if bytes are missing.
    pub bytes: u64,
    /// Reason in words.
    pub why: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, bytes, why } = self;
        write!(formatter, "{file} at byte {offset}: ")?;
        match bytes {
            0 => write!(formatter, "{why}"),
            bytes => write!(formatter, "{bytes} bytes are lost: {why}"),
        }
    }
}

/// Progress of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryProgress {
    /// Bytes read so far.
    pub bytes: u64,
    /// Bytes of all files together. Files that turn out to be superseded are not read.
    pub bytes_all: u64,
    /// Entries delivered so far.
    pub entries: u64,
}

/// Failure to recover. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A file was written by a later version in a way that this one cannot read. Reading around it would lose records.
    #[error(
        "{file} was written by a later version of Herd (format {format}, this one reads up to {known}): start that version, or move the file away"
    )]
    Newer {
        /// Name of the file.
        file: String,
        /// Oldest format whose readers understand it.
        format: u16,
        /// Format of this version.
        known: u16,
    },
    /// The directory cannot be listed.
    #[error("the directory of the records cannot be read: {0}")]
    Directory(#[from] io::Error),
    /// The operating system has no thread that reads.
    #[error("no thread to read the records: {0}")]
    Thread(io::Error),
}

/// Damaged places that are kept in words. More are counted.
pub const DAMAGES_MAX: usize = 100;
