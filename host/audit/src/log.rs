//! Handle of a node's audit log.
//!
//! Owns the queue to the thread that writes the log, so no worker thread waits for the disk. Knows nothing about the format
//! of lines and files.
//!
//! Bounds: [`QUEUE_MAX`] entries wait for the thread, and a caller waits [`FLUSH_WAIT_MAX`] at most.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use herd_model::Digest;
use jiff::Timestamp;
use serde::Serialize;

use super::entry::Entry;
use super::files::LogFiles;
use super::limits::{AuditLimits, Bounds};
use super::log_thread::{Command, LogThread, QUEUE_MAX};
use super::progress::Progress;
use super::writer::{TimedEntry, Writer};

/// Audit log of one node, open for writing.
///
/// Dropping it ends the thread once the queued entries are written.
///
/// ```
/// use herd_audit::{AuditLimits, AuditLog, Entry, Stage, THE_NODE_ITSELF, verify};
///
/// let directory = tempfile::tempdir().unwrap();
/// let log = AuditLog::open(directory.path(), "Riley", &AuditLimits::default()).unwrap();
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
    /// Reason why the last of them was lost, or why entries wait.
    pub last_error: Option<String>,
    /// Number of entries that wait for another process to release the lock of the log.
    pub waiting: u64,
    /// Number of entries that are about to be written.
    pub queued: u64,
}

impl AuditLog {
    /// Opens the log of a node in the state directory of its herd. The first entry creates the files and the key.
    ///
    /// Touches no file: a disk that cannot be written costs entries but does not prevent a node from starting.
    ///
    /// # Errors
    ///
    /// The operating system refuses a thread. Nothing was written.
    pub fn open(state_directory: &Path, node: &str, limits: &AuditLimits) -> Result<Self, OpenError> {
        Self::with_bounds(state_directory, node, limits.into())
    }

    pub(super) fn with_bounds(state_directory: &Path, node: &str, bounds: Bounds) -> Result<Self, OpenError> {
        let files = LogFiles::new(state_directory, node);
        let directory = files.directory().to_path_buf();
        let writer = Writer::new(files, node, bounds);
        // A full queue loses the entry and counts it: see `append_soon`.
        let (commands, received) = sync_channel(QUEUE_MAX);
        let progress = Arc::new(Progress::default());
        let thread = LogThread::new(node, writer, Arc::clone(&progress));
        std::thread::Builder::new()
            .name("herd-audit".into())
            .spawn(move || thread.run(&received))
            .map_err(|source| OpenError { directory, source })?;
        Ok(Self { node: node.into(), commands, progress })
    }

    /// Writes an entry and waits until it would survive a loss of power, for 5 seconds at most.
    ///
    /// Blocks, so it must not be called on a worker thread. Never fails: an entry that cannot be written is counted and
    /// logged at error level. If another process holds the lock of the log, returns while the entry still waits.
    pub fn append(&self, entry: Entry) {
        self.append_soon(entry);
        self.flush();
    }

    /// Queues an entry, with the time of this call, and returns at once.
    ///
    /// Suits worker threads, and entries followed by an [`append`](Self::append). If the queue is full the entry is lost,
    /// counted, logged at error level, and recorded in the log.
    pub fn append_soon(&self, entry: Entry) {
        let at = Timestamp::now();
        // Before it is sent, so that the thread does not take it first.
        self.progress.add_queued();
        if let Err(error) = self.commands.try_send(Command::Write(Box::new(TimedEntry { at, entry }))) {
            let why = match error {
                TrySendError::Full(_) => "too many entries wait for the disk",
                TrySendError::Disconnected(_) => "the audit thread has ended",
            };
            self.progress.take_queued(1);
            self.progress.lose(&self.node, std::iter::once(at), why);
            // The thread may have emptied the queue since, and would record the loss only with the next entry. If the
            // queue is full still, it has entries to write and records the loss with them.
            let _ = self.commands.try_send(Command::RecordLoss);
        }
    }

    /// Waits until all entries queued before are written, lost, or waiting for another process to release the lock, for 5 seconds
    /// at most. Does not wait if the queue is full.
    pub fn flush(&self) {
        let (written, done) = sync_channel(1);
        if self.commands.try_send(Command::Flush(written)).is_ok() && done.recv_timeout(FLUSH_WAIT_MAX).is_err() {
            tracing::error!(node = %self.node, "audit log is not written in time");
        }
    }

    /// Returns the state of the log.
    #[must_use]
    pub fn status(&self) -> AuditStatus {
        let state = self.progress.state();
        AuditStatus {
            last: state.last.map(|(number, _)| number),
            hash: state.last.map(|(_, hash)| hash),
            lost: self.progress.lost(),
            last_error: state.last_error.clone(),
            waiting: self.progress.waiting(),
            queued: self.progress.queued(),
        }
    }
}

/// Time limit of a flush. A slower disk still gets the entries; only the caller goes on.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(5);
