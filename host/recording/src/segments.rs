//! Segments of a log in its folder: `NUMBER.rec`, named by the number of the first decision.
//!
//! Only their user may read them, because they hold what clients sent. Knows nothing of what is in a segment but the numbers of
//! decisions. Bounds: the bytes of the folder; over them the oldest segments are deleted.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::LogError;
use crate::log_reader::{LogBlock, LogReader};
use crate::segment_files::{EXTENSION, list};

/// The folder of a log that is being written.
pub(crate) struct Segments {
    directory: PathBuf,
    /// Finished segments and their bytes, oldest first.
    finished: VecDeque<(PathBuf, u64)>,
    bytes_max: u64,
}

impl Segments {
    /// Opens the folder, and makes it if it is missing. Returns the number of the next decision, too.
    pub(crate) fn open(directory: &Path, bytes_max: u64) -> io::Result<(Self, u64)> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let finished: VecDeque<_> = list(directory)?.into();
        let next = finished.iter().rev().find_map(|(path, _)| last_number(path)).map_or(1, |last| last + 1);
        Ok((Self { directory: directory.into(), finished, bytes_max }, next))
    }

    /// Bytes at which a segment is finished.
    pub(crate) fn segment_bytes(&self) -> u64 {
        (self.bytes_max / SEGMENTS).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
    }

    /// Creates the segment that starts with a decision.
    pub(crate) fn create(&self, number: u64) -> io::Result<(PathBuf, File)> {
        let path = self.directory.join(format!("{number:016}.{EXTENSION}"));
        // An empty segment of a run that ended before it decided anything has the same name.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok((path, file))
    }

    /// Adds a finished segment, and deletes the oldest ones so that another segment has room.
    pub(crate) fn finish(&mut self, path: PathBuf, bytes: u64) -> io::Result<()> {
        self.finished.retain(|(other, _)| *other != path);
        self.finished.push_back((path, bytes));
        self.make_room()
    }

    /// Deletes the oldest segments until another one has room.
    pub(crate) fn make_room(&mut self) -> io::Result<()> {
        let room = self.bytes_max.saturating_sub(self.segment_bytes());
        while self.bytes() > room {
            let Some((path, _)) = self.finished.pop_front() else { break };
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Bytes of the finished segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.finished.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Reads the number of the last decision in a segment. None if it has none: the next segment may take its name.
fn last_number(path: &Path) -> Option<u64> {
    let mut last = None;
    let mut read = || -> Result<(), LogError> {
        let mut log = LogReader::open(path)?;
        while let Some(block) = log.next_block()? {
            if let LogBlock::Calls(calls) = block {
                last = Some(calls.number() + calls.decisions() - 1);
            }
        }
        Ok(())
    };
    match read() {
        Ok(()) | Err(LogError::NotALog(_)) => last,
        // Damage costs the numbers behind it; a replay reports it. A segment that cannot be read from its start on counts as its first
        // decision, by its name: otherwise the next segment would get the same name, and replace what is intact behind the damage.
        Err(_) => last.or_else(|| path.file_stem()?.to_str()?.parse().ok()),
    }
}

/// Segments of a full log: deleting the oldest costs an eighth of it at most.
const SEGMENTS: u64 = 8;
const SEGMENT_BYTES_MIN: u64 = 64 << 10;
/// Small enough to copy one segment to another machine.
const SEGMENT_BYTES_MAX: u64 = 128 << 20;
