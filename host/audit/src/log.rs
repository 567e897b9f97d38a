//! The handle of a node's audit log, and the thread that writes it.
//!
//! One thread has the files to itself, so the order of the lines is the order in which entries came. Entries that wait
//! for the disk together are written together.

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
use super::files::Files;
use super::head::Head;
use super::writer::{Bounds, TimedEntry, Writer};

/// Writes down what happens to the logic of one node.
///
/// Dropped, it writes what still waits and ends.
pub struct AuditLog {
    node: String,
    orders: SyncSender<Order>,
    counts: Arc<Counts>,
}

enum Order {
    Write(Box<TimedEntry>),
    /// Everything before this is to be on the disk when the answer comes.
    Flush(SyncSender<()>),
}

#[derive(Default)]
struct Counts {
    failed: AtomicU64,
    last: Mutex<(Option<Head>, Option<String>)>,
}

/// The log cannot be written at all. The node does not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread of the audit log in {directory}")]
pub struct OpenError {
    directory: PathBuf,
    source: io::Error,
}

/// How the log is, for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub struct AuditStatus {
    /// The number of the last entry that was written since the node started.
    pub last: Option<u64>,
    /// Its hash, which pins all that came before it.
    pub hash: Option<Digest>,
    /// How many entries were lost since the node started.
    pub lost: u64,
    /// Why the last of them was.
    pub last_error: Option<String>,
}

impl AuditLog {
    /// Begins to write the log of a node in a directory, which is made if it is not there.
    ///
    /// That files cannot be written shows with the first entry, and does not keep a node from starting.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub fn open(directory: &Path, node: &str) -> Result<Self, OpenError> {
        Self::with_bounds(directory, node, Bounds::default())
    }

    pub(super) fn with_bounds(directory: &Path, node: &str, bounds: Bounds) -> Result<Self, OpenError> {
        let writer = Writer::new(Files::new(directory, node), node, bounds);
        let (orders, received) = sync_channel(ORDERS_MAX);
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let thread = std::thread::Builder::new().name("herd-audit".into());
        let (of, directory) = (node.to_string(), directory.to_path_buf());
        thread
            .spawn(move || write(&of, writer, &received, &counted))
            .map_err(|source| OpenError { directory, source })?;
        Ok(Self { node: node.into(), orders, counts })
    }

    /// Writes an entry, and returns when it has survived: waits for the disk, for some seconds at most. Not for a
    /// worker thread.
    ///
    /// Never fails for whoever calls it: an entry that cannot be written is logged at error level and counted.
    pub fn append(&self, entry: Entry) {
        self.append_soon(entry);
        self.flush();
    }

    /// Has an entry written, with the time of this call, and waits for nothing: for a worker thread, or for what is
    /// followed by an [`append`](Self::append). If too many wait already it is lost, logged and counted.
    pub fn append_soon(&self, entry: Entry) {
        let order = Order::Write(Box::new(TimedEntry { at: Timestamp::now(), entry }));
        if let Err(error) = self.orders.try_send(order) {
            let why = match error {
                TrySendError::Full(_) => "too many entries wait for the disk",
                TrySendError::Disconnected(_) => "its thread has ended",
            };
            self.counts.lost(&self.node, 1, why);
        }
    }

    /// Waits until everything before this is on the disk, for some seconds at most.
    pub fn flush(&self) {
        let (written, done) = sync_channel(1);
        if self.orders.try_send(Order::Flush(written)).is_ok() && done.recv_timeout(FLUSH_MAX).is_err() {
            tracing::error!(node = self.node, "audit: the disk does not answer");
        }
    }

    /// How the log is.
    #[must_use]
    pub fn status(&self) -> AuditStatus {
        let (head, last_error) = self.counts.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        AuditStatus {
            last: head.map(|head| head.count),
            hash: head.map(|head| head.hash),
            lost: self.counts.failed.load(Ordering::Relaxed),
            last_error,
        }
    }
}

impl Counts {
    fn lost(&self, node: &str, entries: usize, why: &str) {
        tracing::error!(node, entries, why, "audit: entries cannot be written and are lost");
        self.failed.fetch_add(entries as u64, Ordering::Relaxed);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(why.into());
    }
}

/// Writes until the log is dropped.
fn write(node: &str, mut writer: Writer, orders: &Receiver<Order>, counts: &Counts) {
    while let Ok(order) = orders.recv() {
        let (mut entries, mut waiting) = (Vec::new(), Vec::new());
        for order in std::iter::once(order).chain(orders.try_iter().take(ORDERS_MAX)) {
            match order {
                Order::Write(entry) => entries.push(*entry),
                Order::Flush(done) => waiting.push(done),
            }
        }
        if !entries.is_empty() {
            match writer.append(&entries) {
                Ok(head) => counts.last.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(head),
                Err(error) => counts.lost(node, entries.len(), &error.to_string()),
            }
        }
        for done in waiting {
            // Whoever asked may have had enough.
            let _ = done.try_send(());
        }
    }
}

/// Entries that wait for the disk. A swap makes some ten.
const ORDERS_MAX: usize = 256;
/// A disk that takes longer is written to all the same; only nobody waits for it.
const FLUSH_MAX: Duration = Duration::from_secs(5);
