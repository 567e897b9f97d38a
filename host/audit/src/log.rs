//! Handle of a node's audit log, and the thread that writes it.
//!
//! One thread owns the writer, so lines have the order in which entries arrived, and no worker thread waits for the disk.
//! Entries that queue up during a write go to the disk together. Knows nothing about the format of lines and files.
//!
//! Bounds: [`QUEUE_MAX`] entries wait for the disk, and a caller waits [`FLUSH_WAIT_MAX`] at most.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use herd_model::Digest;
use jiff::Timestamp;
use serde::Serialize;

use super::entry::Entry;
use super::files::LogFiles;
use super::head::Head;
use super::writer::{Bounds, TimedEntry, Writer};

/// Audit log of one node, open for writing.
///
/// Dropping it ends the thread once the queued entries are written.
///
/// ```
/// use herd_audit::{AuditLog, Entry, Stage, THE_NODE_ITSELF, verify};
///
/// let directory = tempfile::tempdir().unwrap();
/// let log = AuditLog::open(directory.path(), "Riley").unwrap();
/// log.append_soon(Entry::new("operator mira", Stage::Candidate).digest("6ff2ad10"));
/// log.append(Entry::new(THE_NODE_ITSELF, Stage::Active).generation(2));
///
/// let status = log.status();
/// assert_eq!((status.last, status.lost), (Some(2), 0));
/// // The hash pins everything before it.
/// assert_eq!(status.hash, verify(directory.path(), "Riley").unwrap().head.map(|head| head.hash));
/// ```
pub struct AuditLog {
    node: String,
    commands: SyncSender<Command>,
    progress: Arc<Progress>,
}

enum Command {
    Write(Box<TimedEntry>),
    /// Replies when all commands before it have been carried out.
    Flush(SyncSender<()>),
}

/// State shared by the thread and the handle.
#[derive(Default)]
struct Progress {
    lost: AtomicU64,
    /// Last line written, and the last error.
    last: Mutex<(Option<Head>, Option<String>)>,
}

/// The thread of the log cannot be started. Nothing was written, and the node does not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread of the audit log in {directory}")]
pub struct OpenError {
    directory: PathBuf,
    source: io::Error,
}

/// State of a log, for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub struct AuditStatus {
    /// Number of the last entry written since the node started.
    pub last: Option<u64>,
    /// Hash of that entry, which pins all entries before it.
    pub hash: Option<Digest>,
    /// Number of entries lost since the node started.
    pub lost: u64,
    /// Reason why the last of them was lost.
    pub last_error: Option<String>,
}

impl AuditLog {
    /// Opens the log of a node in a directory, which is created with the first entry.
    ///
    /// Touches no file: a disk that cannot be written costs entries but does not prevent a node from starting.
    ///
    /// # Errors
    ///
    /// The operating system refuses a thread. Nothing was written.
    pub fn open(directory: &Path, node: &str) -> Result<Self, OpenError> {
        Self::with_bounds(directory, node, Bounds::default())
    }

    pub(super) fn with_bounds(directory: &Path, node: &str, bounds: Bounds) -> Result<Self, OpenError> {
        let writer = Writer::new(LogFiles::new(directory, node), node, bounds);
        // A full queue loses the entry and counts it: see `append_soon`.
        let (commands, received) = sync_channel(QUEUE_MAX);
        let progress = Arc::new(Progress::default());
        let (name, of_thread) = (node.to_string(), Arc::clone(&progress));
        std::thread::Builder::new()
            .name("herd-audit".into())
            .spawn(move || write(&name, writer, &received, &of_thread))
            .map_err(|source| OpenError { directory: directory.into(), source })?;
        Ok(Self { node: node.into(), commands, progress })
    }

    /// Writes an entry and waits until it would survive a loss of power, for 5 seconds at most.
    ///
    /// Blocks, so it must not be called on a worker thread. Never fails: an entry that cannot be written is counted and
    /// logged at error level.
    pub fn append(&self, entry: Entry) {
        self.append_soon(entry);
        self.flush();
    }

    /// Queues an entry, with the time of this call, and returns at once.
    ///
    /// Suits worker threads, and entries followed by an [`append`](Self::append). If the queue is full the entry is lost,
    /// counted and logged at error level.
    pub fn append_soon(&self, entry: Entry) {
        let command = Command::Write(Box::new(TimedEntry { at: Timestamp::now(), entry }));
        if let Err(error) = self.commands.try_send(command) {
            let why = match error {
                TrySendError::Full(_) => "too many entries wait for the disk",
                TrySendError::Disconnected(_) => "the audit thread has ended",
            };
            self.progress.count_lost(&self.node, 1, why);
        }
    }

    /// Waits until all entries queued before are written or lost, for 5 seconds at most. Does not wait if the queue is
    /// full.
    pub fn flush(&self) {
        let (written, done) = sync_channel(1);
        if self.commands.try_send(Command::Flush(written)).is_ok() && done.recv_timeout(FLUSH_WAIT_MAX).is_err() {
            tracing::error!(node = self.node, "audit log is not written in time");
        }
    }

    /// Returns the state of the log.
    #[must_use]
    pub fn status(&self) -> AuditStatus {
        let (head, last_error) = self.progress.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        AuditStatus {
            last: head.map(|head| head.count),
            hash: head.map(|head| head.hash),
            lost: self.progress.lost.load(Ordering::Relaxed),
            last_error,
        }
    }
}

impl Progress {
    fn count_lost(&self, node: &str, entries: usize, why: &str) {
        tracing::error!(node, entries, why, "audit entries lost");
        self.lost.fetch_add(entries as u64, Ordering::Relaxed);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(why.into());
    }
}

/// Body of the thread. Returns when the handle is dropped and the queue is empty.
fn write(node: &str, mut writer: Writer, commands: &Receiver<Command>, progress: &Progress) {
    while let Ok(command) = commands.recv() {
        // One write and one sync for the whole queue: under load the disk sets the pace, not the number of entries.
        let (mut entries, mut flushes) = (Vec::new(), Vec::new());
        for command in std::iter::once(command).chain(commands.try_iter().take(QUEUE_MAX)) {
            match command {
                Command::Write(entry) => entries.push(*entry),
                Command::Flush(done) => flushes.push(done),
            }
        }
        if !entries.is_empty() {
            match writer.append(&entries) {
                Ok(head) => progress.last.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(head),
                Err(error) => progress.count_lost(node, entries.len(), &error.to_string()),
            }
        }
        for done in flushes {
            // Fails if the caller has stopped waiting.
            let _ = done.try_send(());
        }
    }
}

/// Limit of entries that wait for the disk. A swap makes about ten.
const QUEUE_MAX: usize = 256;
/// Time limit of a flush. A slower disk still gets the entries; only the caller goes on.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(5);
