//! Writes lines. What is on the disk is looked at before every write: another process may have written too, or somebody
//! may have cut the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::entry::{Entry, Stage, THE_NODE_ITSELF};
use super::files::{Access, Files};
use super::head::Head;
use super::line::Line;

/// How large a log becomes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// A file that has reached this is followed by the next one. In bytes.
    pub(super) file_bytes_max: u64,
    /// The oldest files beyond this number are removed.
    pub(super) files_max: usize,
}

impl Default for Bounds {
    /// Some 3000 entries a file, and some 50,000 in all.
    fn default() -> Self {
        Self { file_bytes_max: 1 << 20, files_max: 16 }
    }
}

/// An entry with the time when it was made.
#[derive(Debug)]
pub(super) struct Stamped {
    pub(super) at: Timestamp,
    pub(super) entry: Entry,
}

/// Writes the log of one node.
pub(super) struct Writer {
    files: Files,
    node: String,
    bounds: Bounds,
    /// The last line that was written from here. Whoever cuts the log and its head while the node runs is found by this.
    written: Option<Head>,
    /// Entries that could not be written, and of which the log does not say so yet.
    lost: usize,
}

/// Entries could not be written. What was there is still there.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// What it refused to read or write.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The end of the file is nothing that this program has written, and more than half a line.
    #[error("{0} does not end with a line of an audit log; move it away")]
    Foreign(PathBuf),
}

impl Writer {
    pub(super) fn new(files: Files, node: &str, bounds: Bounds) -> Self {
        Self { files, node: node.into(), bounds, written: None, lost: 0 }
    }

    /// Writes entries behind what is there, and has them survive a loss of power.
    ///
    /// # Errors
    ///
    /// None of them was written. They are lost, and the next one that can be written says how many.
    pub(super) fn append(&mut self, entries: &[Stamped]) -> Result<Head, AppendError> {
        let head = self.write(entries).inspect_err(|_| self.lost += entries.len())?;
        self.lost = 0;
        self.written = Some(head);
        Ok(head)
    }

    fn write(&self, entries: &[Stamped]) -> Result<Head, AppendError> {
        let directory = |source| AppendError::Io { path: self.files.directory().into(), source };
        self.files.make_directory().map_err(directory)?;
        let _lock = self.files.lock(Access::Write).map_err(directory)?;
        let mut segments = self.files.segments().map_err(directory)?;
        let mut notes = Vec::new();
        let tail = segments.last().map(|&last| Tail::read(self.files.segment(last))).transpose()?;
        let found = self.last_line(tail.as_ref(), &segments)?;
        let head = Head::read(&self.files.head());
        // Of equals the last one is taken: what this process has written, before what others may have put there.
        let heads = [Some(found), head, self.written].into_iter().flatten();
        let mut end = heads.max_by_key(|head| head.count).unwrap_or(Head::NONE);
        if let Some(tail) = tail.as_ref().filter(|tail| !tail.half.is_empty()) {
            notes.push(self.set_aside(tail, end.count + 1)?);
        }
        if (found.count, found.hash) != (end.count, end.hash) {
            let Head { count, hash, .. } = end;
            let note = format!(
                "somebody has changed the log: it does not end with entry {count}, hash {hash}, which was written last"
            );
            tracing::error!(node = self.node, "audit: {note}");
            notes.push(note);
        }
        if head.is_none() && !segments.is_empty() {
            let note = "the file that names the last entry was not there or made no sense".to_string();
            tracing::error!(node = self.node, "audit: {note}");
            notes.push(note);
        }
        if self.lost > 0 {
            notes.push(format!("{} entries before this one could not be written", self.lost));
        }
        end.first = head.map_or_else(|| segments.first().copied().unwrap_or(1), |head| head.first);
        if segments.is_empty() && head.is_none() {
            // The head comes first, so that one that is missing later has been removed.
            end.write(&self.files.head()).map_err(|source| AppendError::Io { path: self.files.head(), source })?;
        }
        let last = tail.filter(|tail| tail.length < self.bounds.file_bytes_max);
        let (path, is_new) = match last {
            Some(tail) => (tail.path, false),
            None => {
                segments.push(end.count + 1);
                (self.files.segment(end.count + 1), true)
            }
        };
        let now = Timestamp::now();
        let notes = notes.into_iter().map(|note| (now, Entry::new(THE_NODE_ITSELF, Stage::Log).because(&note)));
        let entries = entries.iter().map(|Stamped { at, entry }| (*at, entry.clone()));
        let text = self.lines(&mut end, notes.chain(entries)).map_err(|error| AppendError::io(&path, error))?;
        write_behind(&path, text.as_bytes()).map_err(|source| AppendError::io(&path, source))?;
        // The oldest file that stays.
        let kept = segments[segments.len().saturating_sub(self.bounds.files_max)..].first().copied().unwrap_or(1);
        if is_new {
            self.files.sync_directory().map_err(directory)?;
            end.first = end.first.max(kept);
        }
        // The lines are there. A head that is behind is caught up by the next one.
        if let Err(error) = end.write(&self.files.head()) {
            let path = self.files.head();
            tracing::error!(node = self.node, path = %path.display(), %error, "audit: the last entry cannot be named");
        } else if is_new {
            self.remove_before(kept, &segments);
        }
        Ok(end)
    }

    /// The last line that is there. A crash may have left a last file that has none.
    fn last_line(&self, tail: Option<&Tail>, segments: &[u64]) -> Result<Head, AppendError> {
        match (tail, segments) {
            (Some(tail), [.., before, _]) if tail.length == 0 => Ok(Tail::read(self.files.segment(*before))?.end),
            (tail, _) => Ok(tail.map_or(Head::NONE, |tail| tail.end)),
        }
    }

    /// The lines of these entries. `end` is the last line before them, and the last of them afterwards.
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
            let (sealed, hash) = line.seal()?;
            text.push_str(&sealed);
            text.push('\n');
            (end.count, end.hash) = (line.number, hash);
        }
        Ok(text)
    }

    /// Takes half a line from the end of the log, and says where it went.
    fn set_aside(&self, tail: &Tail, number: u64) -> Result<String, AppendError> {
        let path = self.files.half(number);
        write_behind(&path, &tail.half).map_err(|source| AppendError::io(&path, source))?;
        let cut = OpenOptions::new().write(true).open(&tail.path).and_then(|file| {
            file.set_len(tail.length)?;
            file.sync_all()
        });
        cut.map_err(|source| AppendError::io(&tail.path, source))?;
        let name = path.file_name().unwrap_or_default().display().to_string();
        let note = format!(
            "the log ended with half a line, as a crash leaves it; its {} bytes are in {name}",
            tail.half.len()
        );
        tracing::warn!(node = self.node, "audit: {note}");
        Ok(note)
    }

    fn remove_before(&self, kept: u64, segments: &[u64]) {
        let halves = self.files.halves().unwrap_or_default();
        let old = segments.iter().filter(|&&segment| segment < kept).map(|&segment| self.files.segment(segment));
        let old_halves = halves.into_iter().filter(|&half| half < kept).map(|half| self.files.half(half));
        for path in old.chain(old_halves) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "audit: an old file stays");
            }
        }
    }
}

impl AppendError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}

/// The end of the last file.
struct Tail {
    path: PathBuf,
    /// Up to the last newline.
    length: u64,
    /// The last line.
    end: Head,
    /// What stands behind the last newline: nothing, or half a line.
    half: Vec<u8>,
}

impl Tail {
    fn read(path: PathBuf) -> Result<Self, AppendError> {
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|mut file| {
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(length)
        });
        let read = read.map_err(|source| AppendError::io(&path, source))?;
        let newline = bytes.iter().rposition(|&byte| byte == b'\n');
        if newline.is_none() && read > TAIL_BYTES {
            return Err(AppendError::Foreign(path));
        }
        let (lines, half) = bytes.split_at(newline.map_or(0, |newline| newline + 1));
        let last = lines.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|&byte| byte == b'\n').next());
        let end = last.and_then(Line::read).map_or(Head::NONE, |(line, hash)| Head {
            count: line.number,
            hash,
            ..Head::NONE
        });
        Ok(Self { length: read - half.len() as u64, half: half.into(), end, path })
    }
}

/// Writes behind what is there, all of it or nothing, and waits for the disk.
fn write_behind(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let before = file.metadata()?.len();
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a line on a full disk. If it cannot be taken back, the next one who writes sets it aside.
        let _ = file.set_len(before);
    }
    written
}

/// What is read of a file to find its last line, which has some 10 KiB at most.
const TAIL_BYTES: u64 = 64 << 10;
