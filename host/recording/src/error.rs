//! Errors of reading and writing logs.

use std::io;
use std::path::PathBuf;

/// A log cannot be read or written. What was read before stays valid.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system fails, or the path does not exist.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{0} is no log of decisions; `[record]` writes them to recordings/NODE in the state directory")]
    NotALog(PathBuf),
    /// The folder holds no segment.
    #[error("{0} holds no log of decisions; name a *.rec file, or the folder recordings/NODE of a state directory")]
    NoSegments(PathBuf),
    /// Another version of the format.
    #[error(
        "{path} has format {found} of logs, and this herd reads format {known}; replay it with the herd that recorded it"
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u8,
        /// The format that this program reads.
        known: u8,
    },
    /// Bytes of the file changed after they were written.
    #[error("{path} is damaged at byte {offset}: {what}; the log is intact up to there")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset of the damaged block.
        offset: u64,
        /// The damage.
        what: &'static str,
    },
}
