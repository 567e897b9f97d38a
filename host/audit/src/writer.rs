//! Appends entries to the files of one log.
//!
//! Owns the order of writes and the recovery after a crash. Knows nothing about threads: the caller serializes its own
//! calls, and a file lock keeps out other processes.
//!
//! The writer reads the head and the end of the log before every append, because a second process may have appended to it
//! and somebody may have changed it. It keeps the last head that it wrote, so setting back the files of a running node does
//! not go unnoticed.
//!
//! Bounds: [`Bounds`] limits the files. An append writes a quarter of a file at most.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::drop;
use super::entry::Entry;
use super::files::LogFiles;
use super::found_head::FoundHead;
use super::head::Head;
use super::key::{Key, KeyError};
use super::limits::Bounds;
use super::line::Line;
use super::loss::{Loss, nanoseconds};
use super::position::Position;

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
    /// Read or created by the first append.
    key: Option<Key>,
    /// The last head that this process wrote.
    written: Option<Head>,
}

/// Result of an append.
#[derive(Debug)]
pub(super) struct Appended {
    /// Number of entries written, from the first on. At least one, if any were passed.
    pub(super) entries: usize,
    /// The last of them.
    pub(super) head: Head,
}

/// A failed append. The log is as it was before.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    /// Another process holds the lock. A later attempt may succeed.
    #[error("another process holds the lock of the audit log")]
    Locked,
    /// The operating system refused a read or a write.
    #[error("{path}: {source}")]
    Io {
        /// File or directory that was read or written.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The key cannot be used. Every append fails until an operator has mended that.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Writer {
    pub(super) fn new(files: LogFiles, node: &str, bounds: Bounds) -> Self {
        Self { files, node: node.into(), bounds, key: None, written: None }
    }

    /// Appends the record of a loss, if one is passed, and entries, and waits until they would survive a loss of power.
    /// Waits up to `lock_wait_max` for another process that is writing.
    ///
    /// # Errors
    ///
    /// Nothing was written. The caller keeps the entries or records their loss.
    pub(super) fn append(
        &mut self,
        loss: Option<&Loss>,
        entries: &[TimedEntry],
        lock_wait_max: Duration,
    ) -> Result<Appended, AppendError> {
        let directory = |source| AppendError::Io { path: self.files.directory().into(), source };
        self.files.make_directory().map_err(directory)?;
        let lock = self.files.lock_to_write(lock_wait_max).map_err(directory)?;
        let _lock = lock.ok_or(AppendError::Locked)?;
        let mut segments = self.files.segments().map_err(directory)?;
        if self.key.is_none() {
            self.key = Key::read(self.files.key())?;
        }
        let found = FoundHead::read(&self.files.head(), self.key.as_ref(), self.written.as_ref());
        let position = Position::find(&self.files, &segments, found.head.as_ref(), self.key.as_ref(), &self.node)
            .map_err(|(path, source)| AppendError::Io { path, source })?;
        let mut notes = found.notes(&position, &self.node, self.key.is_some());
        let is_new = found.head.is_none();
        let mut end = continue_from(found.head, &position, &segments);
        if self.key.is_none() {
            self.key = Some(Key::create(self.files.key(), end.count + 1)?);
            if position.has_macs || found.has_mac {
                notes.push(Entry::note(
                    "the key was missing; a new one was made, which cannot prove the entries before",
                ));
            }
        }
        if is_new || end.count + 1 == self.key.as_ref().map_or(0, |key| key.since) {
            // The head exists before the first line does, and has a MAC before a line has one, so a head without either
            // always means a removed or replaced one.
            end.write(&self.files.head(), self.key.as_ref()).map_err(|error| fail(&self.files.head(), error))?;
        }
        notes.extend(loss.map(Entry::note_loss));
        let (text, count) = self.lines(&mut end, notes, entries).map_err(|error| fail(&self.files.head(), error))?;
        self.write_lines(&mut segments, &position, &mut end, text)?;

        let excess = drop::excess(&self.files, &segments, self.bounds).unwrap_or_else(|error| {
            tracing::warn!(node = %self.node, %error, "size of the audit log is unknown");
            0
        });
        drop::record(&self.files, &segments, excess, &self.node, self.key.as_ref(), &mut end);
        // The lines are on the disk, so a failure here loses none: the next append finds them by their MACs.
        match end.write(&self.files.head(), self.key.as_ref()) {
            Ok(()) => {
                self.written = Some(end.clone());
                // Only after the head names the new beginning, or a crash in between would look like removed lines.
                drop::remove(&self.files, &segments, excess, &self.node);
            }
            Err(error) => {
                let path = self.files.head();
                tracing::error!(node = %self.node, path = %path.display(), %error, "audit head cannot be written");
            }
        }
        Ok(Appended { entries: count, head: end })
    }

    /// Returns the lines of the notes and of the entries of one append, and the number of these entries. Moves
    /// `end` from the line before them to the last of them.
    fn lines(&self, end: &mut Head, notes: Vec<Entry>, entries: &[TimedEntry]) -> io::Result<(String, usize)> {
        let now = Timestamp::now();
        let notes_count = notes.len();
        let notes = notes.into_iter().map(|note| (now, note));
        let entries = entries.iter().map(|TimedEntry { at, entry }| (*at, entry.clone()));
        let mut text = String::new();
        let mut count = 0;
        for (at, entry) in notes.chain(entries) {
            let line = Line {
                number: end.count + 1,
                at: at.to_string(),
                at_ns: nanoseconds(at),
                node: self.node.clone(),
                entry,
                previous: end.hash,
                mac: None,
            };
            let (encoded, hash) = line.encode(self.key.as_ref())?;
            // A quarter of a file at a time, so that the room left in a file that does not hold them is not more than that.
            // The notes stand in one file with the first entry: they are about the moment before it.
            let is_full = (text.len() + encoded.len()) as u64 > self.bounds.file_bytes_max / 4;
            if is_full && count > notes_count {
                break;
            }
            text.push_str(&encoded);
            text.push('\n');
            (end.count, end.hash, count) = (line.number, hash, count + 1);
        }
        Ok((text, count - notes_count))
    }

    /// Writes lines to the newest file, or to a new one if they do not fit. Sets the place of the last of them in `end`.
    fn write_lines(
        &self,
        segments: &mut Vec<u64>,
        position: &Position,
        end: &mut Head,
        text: String,
    ) -> Result<(), AppendError> {
        let newest = position.newest.as_ref();
        let fits = newest.filter(|newest| newest.length + (text.len() as u64) < self.bounds.file_bytes_max);
        if let Some(newest) = fits {
            // Foreign bytes without a newline must not join the first line of the node.
            let text = if newest.is_unterminated { format!("\n{text}") } else { text };
            let path = self.files.segment(newest.number);
            write_behind(&path, newest.torn_bytes, text.as_bytes()).map_err(|error| fail(&path, error))?;
            (end.file, end.bytes) = (newest.number, newest.length + text.len() as u64);
            return Ok(());
        }
        if let Some(newest) = newest.filter(|newest| newest.torn_bytes > 0) {
            // Only the newest file may end with a torn line.
            let path = self.files.segment(newest.number);
            write_behind(&path, newest.torn_bytes, b"").map_err(|error| fail(&path, error))?;
        }
        // Behind every other file, even one that somebody else put there.
        let number = newest.map_or(0, |newest| newest.number + 1).max(position.count + 1);
        let path = self.files.segment(number);
        // Before the lines, so that a failure here does not leave lines that are counted as lost.
        open(&path).map_err(|error| fail(&path, error))?;
        self.files.sync_directory().map_err(|error| fail(self.files.directory(), error))?;
        segments.push(number);
        write_behind(&path, 0, text.as_bytes()).map_err(|error| fail(&path, error))?;
        (end.file, end.bytes) = (number, text.len() as u64);
        Ok(())
    }
}

fn fail(path: &Path, source: io::Error) -> AppendError {
    AppendError::Io { path: path.into(), source }
}

/// Returns the head that the next line follows.
fn continue_from(head: Option<Head>, position: &Position, segments: &[u64]) -> Head {
    let first = segments.first().copied().unwrap_or(1).max(1);
    let head = head.unwrap_or(Head { first, ..Head::NONE });
    Head { count: position.count, hash: position.hash, ..head }
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
        // finds them by their MACs, or treats the rest as a torn line.
        let _ = file.set_len(length);
    }
    written
}
