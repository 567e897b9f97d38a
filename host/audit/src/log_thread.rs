//! The thread that writes a node's audit log.
//!
//! It owns the writer, so lines have the order in which entries arrived. Entries that queue up during a write go to the disk
//! together. Knows nothing about the format of lines and files.
//!
//! Entries wait while another process holds the lock of the log. Entries that a full queue or the disk costs are counted,
//! and the log records their number and times as soon as it can be written.
//!
//! Bounds: [`QUEUE_MAX`] entries wait for the thread and [`WAITING_MAX`] for the lock.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::progress::Progress;
use super::writer::{AppendError, TimedEntry, Writer};

/// Command to the thread.
pub(super) enum Command {
    /// Writes an entry.
    Write(Box<TimedEntry>),
    /// Replies when all commands before it have been carried out.
    Flush(SyncSender<()>),
    /// Records a loss that a full queue has caused.
    RecordLoss,
}

/// The thread that writes the log.
pub(super) struct LogThread {
    node: String,
    writer: Writer,
    progress: Arc<Progress>,
    /// Entries that the lock of another process keeps from the disk, oldest first.
    waiting: Vec<TimedEntry>,
    /// The last append found the lock held for all of its wait.
    is_locked_out: bool,
}

impl LogThread {
    pub(super) fn new(node: &str, writer: Writer, progress: Arc<Progress>) -> Self {
        Self { node: node.into(), writer, progress, waiting: Vec::new(), is_locked_out: false }
    }

    /// Writes until the handle is dropped and the queue is empty.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let is_idle = self.waiting.is_empty() && self.progress.state().unrecorded.is_none();
            let received = match is_idle {
                true => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => commands.recv_timeout(if self.is_locked_out { LOCK_RETRY } else { LOSS_RETRY }),
            };
            let is_closed = matches!(received, Err(RecvTimeoutError::Disconnected));
            // One write and one sync for the whole queue: under load the disk sets the pace, not the number of entries.
            let (mut flushes, mut taken) = (Vec::new(), 0);
            for command in received.into_iter().chain(commands.try_iter().take(QUEUE_MAX)) {
                match command {
                    Command::Write(entry) => {
                        self.waiting.push(*entry);
                        taken += 1;
                    }
                    Command::Flush(done) => flushes.push(done),
                    Command::RecordLoss => {}
                }
            }
            // The last chance is worth the wait.
            self.is_locked_out &= !is_closed;
            self.write();
            self.progress.take_queued(taken);
            for done in flushes {
                // Fails if the caller has stopped waiting.
                let _ = done.try_send(());
            }
            if is_closed {
                let times = self.waiting.iter().map(|waiting| waiting.at);
                self.progress.lose(&self.node, times, "the log was closed while another process held its lock");
                return;
            }
        }
    }

    /// Writes all entries, unless another process holds the lock.
    fn write(&mut self) {
        loop {
            let loss = self.progress.state().unrecorded.take();
            if self.waiting.is_empty() && loss.is_none() {
                break;
            }
            // A lock that was held throughout a wait may be held for long, and a swap waits for every entry.
            let lock_wait_max = if self.is_locked_out { Duration::ZERO } else { LOCK_WAIT_MAX };
            match self.writer.append(loss.as_ref(), &self.waiting, lock_wait_max) {
                Ok(appended) => {
                    self.waiting.drain(..appended.entries);
                    self.is_locked_out = false;
                    let mut state = self.progress.state();
                    state.last = Some((appended.head.count, appended.head.hash));
                    if self.progress.lost() == 0 {
                        // It was the reason for a wait that is over.
                        state.last_error = None;
                    }
                }
                Err(error) => {
                    if let Some(loss) = loss {
                        // Later losses may have been added meanwhile; the order of the two does not matter.
                        loss.add_to(&mut self.progress.state().unrecorded);
                    }
                    self.keep_or_lose(&error);
                    break;
                }
            }
        }
        self.progress.set_waiting(self.waiting.len());
    }

    /// Keeps as many entries as may wait for the lock. Any other error costs all entries: a full disk may stay full.
    fn keep_or_lose(&mut self, error: &AppendError) {
        let why = error.to_string();
        let is_locked_out = matches!(error, AppendError::Locked);
        if is_locked_out && !self.is_locked_out {
            tracing::warn!(node = %self.node, why, "audit entries wait");
        }
        self.is_locked_out = is_locked_out;
        // The oldest ones stay: they tell how the situation began.
        let kept = if is_locked_out { self.waiting.len().min(WAITING_MAX) } else { 0 };
        self.progress.lose(&self.node, self.waiting[kept..].iter().map(|waiting| waiting.at), &why);
        self.waiting.truncate(kept);
        if is_locked_out {
            self.progress.state().last_error = Some(why);
        }
    }
}

/// Limit of entries that wait for the disk. A swap makes about ten.
pub(super) const QUEUE_MAX: usize = 256;
/// Limit of entries that wait for the lock, about 3 MiB.
const WAITING_MAX: usize = 1024;
/// Time between attempts to write what waits for the lock.
const LOCK_RETRY: Duration = Duration::from_millis(500);
/// Time between attempts to record a loss without another entry. An attempt on a full disk reads the log and may log.
const LOSS_RETRY: Duration = Duration::from_secs(5);
/// Time limit for the lock. A holder reads a log or writes a MiB, so this is long.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(2);
