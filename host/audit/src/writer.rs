//! Appends entries to the files of one log.
//!
//! Owns the order of writes and the recovery after a crash. Knows nothing about threads: the caller serializes its own
//! calls, and a file lock keeps out other processes.
//!
//! The writer keeps no position between calls. It reads the end of the log before every append, because a second
//! process may have appended to it and somebody may have cut it.
//!
//! Bounds: [`Bounds`] limits the files. An append reads the ends of the two newest, 64 KiB each, and the head.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::entry::{Entry, Stage, THE_NODE_ITSELF};
use super::files::{Access, LogFiles};
use super::head::Head;
use super::line::Line;
use super::tail::Tail;

/// Limits on the files of one log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Size in bytes from which a file takes no more entries and the next one begins.
    pub(super) file_bytes_max: u64,
    /// Number of files kept. The oldest ones beyond it are removed.
    pub(super) files_max: usize,
}

impl Default for Bounds {
    /// About 3000 entries a file and 50,000 in all.
    fn default() -> Self {
        Self { file_bytes_max: 1 << 20, files_max: 16 }
    }
}

/// An entry and the time of the event.
#[derive(Debug)]
pub(super) struct TimedEntry {
    pub(super) at: Timestamp,
    pub(super) entry: Entry,
}

/// Writer of one node's log.
pub(super) struct Writer {
    files: LogFiles,
    node: String,
    bounds: Bounds,
    /// Entries lost since the last successful append, which the next one notes in the log.
    lost: usize,
}

/// A failed append. The log is as it was before.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    /// The operating system refused a read or a write.
    #[error("{path}: {source}")]
    Io {
        /// File or directory that was read or written.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The newest file ends with more bytes without a newline than a crash can leave: not the work of this program.
    /// Every append fails until the file is moved away.
    #[error("{0} does not end with a line of an audit log; move it away")]
    Foreign(PathBuf),
}

impl Writer {
    pub(super) fn new(files: LogFiles, node: &str, bounds: Bounds) -> Self {
        Self { files, node: node.into(), bounds, lost: 0 }
    }

    /// Appends entries and waits until they would survive a loss of power.
    ///
    /// # Errors
    ///
    /// None of the entries was written. They are lost, and the next successful append notes their number in the log.
    pub(super) fn append(&mut self, entries: &[TimedEntry]) -> Result<Head, AppendError> {
        let head = self.write(entries).inspect_err(|_| self.lost += entries.len())?;
        self.lost = 0;
        Ok(head)
    }

    fn write(&self, entries: &[TimedEntry]) -> Result<Head, AppendError> {
        let directory = |source| AppendError::Io { path: self.files.directory().into(), source };
        self.files.make_directory().map_err(directory)?;
        let _lock = self.files.lock(Access::Write).map_err(directory)?;
        let mut segments = self.files.segments().map_err(directory)?;
        let tail = segments.last().map(|&last| self.tail(last)).transpose()?;
        let found = self.last_line(tail.as_ref(), &segments)?;
        let head = Head::read(&self.files.head());
        // The chain continues from the head unless a crash left the head behind. If lines were cut off, continuing from
        // the last line found would close the gap and hide the cut.
        let mut end = head.filter(|head| head.count >= found.count).unwrap_or(found);
        let notes = self.notes(tail.as_ref(), found, end, head.is_none() && !segments.is_empty());
        end.first = head.map_or_else(|| segments.first().copied().unwrap_or(1), |head| head.first);
        if segments.is_empty() && head.is_none() {
            // The head exists before the first line does, so a missing head always means a removed one.
            end.write(&self.files.head()).map_err(|source| AppendError::io(&self.files.head(), source))?;
        }
        // A torn line is overwritten where it stands, even in a full file: only the newest file may end with one.
        let last = tail.filter(|tail| tail.length < self.bounds.file_bytes_max || tail.torn_bytes > 0);
        let (path, torn_bytes, is_new) = match last {
            Some(tail) => (tail.path, tail.torn_bytes, false),
            None => {
                segments.push(end.count + 1);
                (self.files.segment(end.count + 1), 0, true)
            }
        };
        let now = Timestamp::now();
        let notes = notes.into_iter().map(|note| (now, Entry::new(THE_NODE_ITSELF, Stage::Log).because(&note)));
        let entries = entries.iter().map(|TimedEntry { at, entry }| (*at, entry.clone()));
        let text = self.lines(&mut end, notes.chain(entries)).map_err(|error| AppendError::io(&path, error))?;
        if is_new {
            // Before the lines, so that a failure here does not leave lines that are counted as lost.
            open(&path).map_err(|source| AppendError::io(&path, source))?;
            self.files.sync_directory().map_err(directory)?;
        }
        write_behind(&path, torn_bytes, text.as_bytes()).map_err(|source| AppendError::io(&path, source))?;
        let oldest_kept =
            segments[segments.len().saturating_sub(self.bounds.files_max)..].first().copied().unwrap_or(1);
        if is_new {
            end.first = end.first.max(oldest_kept);
        }
        // The lines are on the disk, so a failure here loses none: the next append writes a newer head.
        if let Err(error) = end.write(&self.files.head()) {
            let path = self.files.head();
            tracing::error!(node = self.node, path = %path.display(), %error, "audit head cannot be written");
        } else if is_new {
            // Only after the head names the new beginning, or a crash in between would look like removed lines.
            self.remove_before(oldest_kept, &segments);
        }
        Ok(end)
    }

    fn tail(&self, segment: u64) -> Result<Tail, AppendError> {
        let path = self.files.segment(segment);
        // A foreign ending is left alone: an append would remove it as a torn line, and it is too long to be one.
        Tail::read(path.clone()).map_err(|source| AppendError::io(&path, source))?.ok_or(AppendError::Foreign(path))
    }

    /// Returns the last line on the disk. A crash can leave a newest file without a complete line; then it is the last
    /// line of the file before.
    fn last_line(&self, tail: Option<&Tail>, segments: &[u64]) -> Result<Head, AppendError> {
        match (tail, segments) {
            (Some(tail), [.., before, _]) if tail.length == 0 => Ok(self.tail(*before)?.last),
            (tail, _) => Ok(tail.map_or(Head::NONE, |tail| tail.last)),
        }
    }

    /// Returns what the log has to say about itself before the next entries.
    fn notes(&self, tail: Option<&Tail>, found: Head, end: Head, head_is_missing: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(Tail { torn_bytes, .. }) = tail.filter(|tail| tail.torn_bytes > 0) {
            let note = format!(
                "the log ended with an incomplete line, as a crash leaves it; its {torn_bytes} bytes were removed"
            );
            tracing::warn!(node = self.node, note, "audit log recovered");
            notes.push(note);
        }
        if (found.count, found.hash) != (end.count, end.hash) {
            let Head { count, hash, .. } = end;
            let note =
                format!("the log was changed: it does not end with entry {count}, hash {hash}, the last one written");
            tracing::error!(node = self.node, note, "audit log is not whole");
            notes.push(note);
        }
        if head_is_missing {
            let note = "the head, which names the last entry, was missing or unreadable".to_string();
            tracing::error!(node = self.node, note, "audit log is not whole");
            notes.push(note);
        }
        if self.lost > 0 {
            notes.push(format!("{} entries before this one could not be written", self.lost));
        }
        notes
    }

    /// Returns the lines of these entries. Moves `end` from the line before them to the last of them.
    fn lines(&self, end: &mut Head, entries: impl Iterator<Item = (Timestamp, Entry)>) -> io::Result<String> {
        let mut text = String::new();
        for (at, entry) in entries {
            let line = Line {
                number: end.count + 1,
                at: at.to_string(),
                at_ns: u64::try_from(at.as_nanosecond()).unwrap_or_default(),
                node: self.node.clone(),
                entry,
                previous: end.hash,
            };
            let (encoded, hash) = line.encode()?;
            text.push_str(&encoded);
            text.push('\n');
            (end.count, end.hash) = (line.number, hash);
        }
        Ok(text)
    }

    fn remove_before(&self, oldest_kept: u64, segments: &[u64]) {
        for &segment in segments.iter().filter(|&&segment| segment < oldest_kept) {
            let path = self.files.segment(segment);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "old audit file cannot be removed");
            }
        }
    }
}

impl AppendError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}

/// Opens a file to append to it; creates it, accessible only to its owner, if it is missing.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Appends bytes to a file, in place of the torn bytes at its end, and waits for the disk. Writes all of them or none.
fn write_behind(path: &Path, torn_bytes: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = open(path)?;
    let length = file.metadata()?.len().saturating_sub(torn_bytes);
    if torn_bytes > 0 {
        file.set_len(length)?;
    }
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Lines that stayed would be counted as lost although they are there. If truncating fails too, the next append
        // treats the rest as a torn line.
        let _ = file.set_len(length);
    }
    written
}
