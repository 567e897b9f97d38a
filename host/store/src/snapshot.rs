//! Snapshots: everything that a node keeps, as one file, so that the log before it can go.
//!
//! A snapshot begins with a new log file. Its entries are read while the node goes on: what changes meanwhile is in that log file.
//! Bounds: the bytes of a run; one snapshot at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use herd_replication::JournalKind;

use crate::file_head::{FileHead, FileKind, FileName, Follows};
use crate::files::{Files, OpenFile};
use crate::framing::{END, EntryNumbers, Framing, LATER};
use crate::log::{Log, Rotation};

/// Everything that a node keeps, in runs.
pub trait SnapshotSource {
    /// Pushes the next entries until the run is full or, say, a shard is done: definitions of lanes first, then reports, then the
    /// node's own marks and its vector. Returns whether more follow.
    ///
    /// The vector has to be read before the snapshot begins, and the records after: then the snapshot holds whatever the vector
    /// claims.
    fn fill(&mut self, run: &mut EntryRun) -> bool;
}

/// Entries of a snapshot on their way to the file.
#[derive(Debug)]
pub struct EntryRun {
    framing: Framing,
    bytes: Vec<u8>,
    entries: u64,
}

impl EntryRun {
    /// Adds an entry.
    pub fn push(&mut self, kind: JournalKind, payload: &[u8]) {
        self.framing.push(&mut self.bytes, kind.code(), payload);
        self.entries += 1;
    }

    /// Returns whether the run should go to the disk before more is added. It may grow further, as when a shard is locked for it.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= RUN_BYTES
    }
}

/// Snapshot that is being written. Dropped before [`finish`](Self::finish), it leaves the log as it is.
pub struct Snapshot<F: Files> {
    log: Arc<Log<F>>,
    rotation: Rotation,
    draft: Draft<F::File>,
    finished: bool,
}

impl<F: Files> Snapshot<F> {
    /// Begins a snapshot with a new log file. On a log that has failed, it begins the recovery: the new file takes the entries
    /// from now on.
    ///
    /// # Errors
    ///
    /// Another snapshot is being written, or the disk fails. A log that works goes on, unless the new log file could be created and
    /// not written.
    pub fn begin(log: &Arc<Log<F>>) -> Result<Self, SnapshotError> {
        if log.snapshotting.swap(true, Ordering::AcqRel) {
            return Err(SnapshotError::Busy);
        }
        let begun = log.rotate().and_then(|rotation| {
            let head = FileHead::new(FileKind::Snapshot, rotation.number, rotation.follows, log.salt());
            match Draft::begin(&log.files, head, &log.head_bytes(head), log.is_later()) {
                Ok(draft) => Ok(Self { log: log.clone(), rotation, draft, finished: false }),
                Err(error) => {
                    log.abandon_recovery(rotation.age, &error.to_string());
                    Err(error)
                }
            }
        });
        begun.map_err(|source| {
            log.snapshotting.store(false, Ordering::Release);
            SnapshotError::Disk { doing: "begun", source }
        })
    }

    /// Writes the next run. Returns whether more follow.
    ///
    /// # Errors
    ///
    /// The disk fails. The snapshot is of no use any more: drop it.
    pub fn step(&mut self, source: &mut dyn SnapshotSource) -> Result<bool, SnapshotError> {
        self.draft.step(source).map_err(|source| SnapshotError::Disk { doing: "written", source })
    }

    /// Completes the snapshot, and removes the log files and snapshots before it. After a failure, the log accepts again.
    ///
    /// # Errors
    ///
    /// The disk fails, or the log failed again. Everything before the snapshot is still there.
    pub fn finish(mut self) -> Result<(), SnapshotError> {
        let (log, number) = (self.log.clone(), self.rotation.number);
        let failed = |source| SnapshotError::Disk { doing: "completed", source };
        self.draft.finish(&log.files, FileName::Snapshot(number)).map_err(failed)?;
        if self.rotation.recovering {
            log.finish_recovery(self.rotation.age).map_err(failed)?;
        }
        log.note_snapshot(number, self.draft.bytes);
        self.finished = true;
        remove_before(&log.files, number);
        Ok(())
    }
}

impl<F: Files> Drop for Snapshot<F> {
    fn drop(&mut self) {
        if !self.finished {
            // Left behind, it is removed at the next start.
            let _ = self.log.files.remove(&self.draft.name.text());
            self.log.abandon_recovery(self.rotation.age, "a snapshot could not be written");
        }
        self.log.snapshotting.store(false, Ordering::Release);
    }
}

/// Writes a snapshot of everything, and removes the log before it. On a log that has failed, this is its recovery.
///
/// `source` is called first, and reads the vector.
///
/// # Errors
///
/// See [`Snapshot`].
pub fn snapshot<F: Files, S: SnapshotSource>(
    log: &Arc<Log<F>>,
    source: impl FnOnce() -> S,
) -> Result<(), SnapshotError> {
    let mut source = source();
    let mut snapshot = Snapshot::begin(log)?;
    while snapshot.step(&mut source)? {}
    snapshot.finish()
}

/// Writes a snapshot of everything into another directory. [`recover`](crate::recover) reads it, and a node can begin with it.
/// Returns its bytes.
///
/// # Errors
///
/// The directory has files of a store already, or its disk fails. Nothing else changed.
pub fn backup<F: Files, S: SnapshotSource>(
    target: &F,
    salt: u64,
    source: impl FnOnce() -> S,
) -> Result<u64, SnapshotError> {
    let failed = |source| SnapshotError::Disk { doing: "written", source };
    if target.names().map_err(failed)?.iter().any(|name| FileName::parse(name).is_some()) {
        return Err(SnapshotError::NotEmpty);
    }
    let mut source = source();
    let head = FileHead::new(FileKind::Snapshot, BACKUP_NUMBER, Follows::NOTHING, salt);
    let mut draft = Draft::begin(target, head, &head.to_bytes(), false).map_err(failed)?;
    let mut write = || {
        while draft.step(&mut source)? {}
        draft.finish(target, FileName::Snapshot(BACKUP_NUMBER))
    };
    let written = write().map_err(failed);
    if written.is_err() {
        let _ = target.remove(&draft.name.text());
    }
    written.map(|()| draft.bytes)
}

/// Failure to write a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Another snapshot is being written. Nothing changed.
    #[error("another snapshot is being written")]
    Busy,
    /// The directory of a backup has files of a store. Nothing changed.
    #[error("the directory has records already: name an empty one")]
    NotEmpty,
    /// The disk failed. What was there before is still there.
    #[error("a snapshot could not be {doing}: {source}")]
    Disk {
        /// Step that failed, as a participle.
        doing: &'static str,
        /// The error of the disk.
        source: io::Error,
    },
}

/// File of a snapshot before it has its name.
struct Draft<File> {
    file: File,
    name: FileName,
    run: EntryRun,
    numbers: EntryNumbers,
    bytes: u64,
    unsynced_bytes: u64,
    /// Entries of a later version are written too.
    later: bool,
}

impl<File: OpenFile> Draft<File> {
    fn begin<F: Files<File = File>>(files: &F, head: FileHead, start: &[u8], later: bool) -> io::Result<Self> {
        let name = FileName::Draft(head.number);
        let file = files.create(&name.text())?;
        let run = EntryRun { framing: head.framing(), bytes: Vec::new(), entries: 0 };
        let draft = Self {
            file,
            name,
            run,
            numbers: EntryNumbers::from_start(),
            bytes: start.len() as u64,
            unsynced_bytes: 0,
            later,
        };
        match draft.file.append(start) {
            Ok(()) => Ok(draft),
            Err(error) => {
                let _ = files.remove(&name.text());
                Err(error)
            }
        }
    }

    fn step(&mut self, source: &mut dyn SnapshotSource) -> io::Result<bool> {
        let more = source.fill(&mut self.run);
        if self.later {
            self.run.framing.push(&mut self.run.bytes, LATER, b"of a later version");
            self.run.entries += 1;
        }
        if self.run.is_full() {
            self.write()?;
        }
        Ok(more)
    }

    fn write(&mut self) -> io::Result<()> {
        self.numbers.set(&mut self.run.bytes);
        self.file.append(&self.run.bytes)?;
        let bytes = self.run.bytes.len() as u64;
        self.bytes += bytes;
        self.unsynced_bytes += bytes;
        self.run.bytes.clear();
        if self.unsynced_bytes >= SYNC_BYTES {
            self.file.sync()?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }

    fn finish<F: Files<File = File>>(&mut self, files: &F, name: FileName) -> io::Result<()> {
        let entries = self.run.entries;
        self.run.framing.push(&mut self.run.bytes, END, &entries.to_le_bytes());
        self.write()?;
        self.file.sync()?;
        files.rename(&self.name.text(), &name.text())?;
        files.sync_directory()
    }
}

/// Removes what a snapshot stands for. What cannot be removed is ignored at a start, and removed after the next snapshot.
fn remove_before<F: Files>(files: &F, number: u64) {
    for name in files.names().unwrap_or_default() {
        if let Some(FileName::Log(other) | FileName::Snapshot(other) | FileName::Draft(other)) = FileName::parse(&name)
            && other < number
        {
            let _ = files.remove(&name);
        }
    }
}

/// Bytes after which a run goes to the disk.
const RUN_BYTES: usize = 256 << 10;
/// Bytes of a snapshot between syncs: one sync of everything at the end would keep the syncs of the log waiting.
const SYNC_BYTES: u64 = 8 << 20;
/// Number of the snapshot that is a backup.
const BACKUP_NUMBER: u64 = 1;
