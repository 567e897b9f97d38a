//! The threads of a store: one commits groups of entries in `disk`, one writes snapshots and recovers from failures.
//!
//! Knows nothing of records. Bounds: two threads; the waits between attempts. Both end when the [`StoreThread`] is dropped, after
//! a last sync.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::files::Files;
use crate::log::Log;
use crate::snapshot::{SnapshotSource, snapshot};
use crate::store_config::Durability;

/// Threads that keep a log short and durable, until they are dropped.
pub struct StoreThread {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Entries wait for a sync.
    wanted: AtomicBool,
    /// The thread that syncs, once it runs.
    committer: OnceLock<Thread>,
}

/// Requests for syncs, on their way to the thread that does them.
#[derive(Clone, Default)]
pub struct SyncRequests(Arc<Shared>);

impl SyncRequests {
    /// Asks for a sync of what was appended. Cheap while one is under way; it is followed by another.
    ///
    /// Call it once for each batch. A forgotten call costs its entries a tenth of a second.
    pub fn request(&self) {
        if !self.0.wanted.swap(true, Ordering::AcqRel)
            && let Some(committer) = self.0.committer.get()
        {
            committer.unpark();
        }
    }
}

impl StoreThread {
    /// Starts the threads of the node `node`, which its log lines name. `source` returns everything that the node keeps, for a snapshot; it reads the vector.
    ///
    /// # Errors
    ///
    /// The operating system has no thread. None runs then.
    pub fn start<F, S>(
        node: &str,
        log: Arc<Log<F>>,
        durability: Durability,
        syncs: &SyncRequests,
        source: impl Fn() -> S + Send + 'static,
    ) -> io::Result<Self>
    where
        F: Files + 'static,
        F::File: 'static,
        S: SnapshotSource,
    {
        let shared = Arc::clone(&syncs.0);
        let mut started = Self { shared: shared.clone(), threads: Vec::new() };
        if durability == Durability::Disk {
            let (log, shared) = (log.clone(), shared.clone());
            let committer = thread::Builder::new().name("commit".into()).spawn(move || commit(&log, &shared))?;
            let _ = syncs.0.committer.set(committer.thread().clone());
            started.threads.push(committer);
        }
        let keeper = Keeper { node: node.into(), log, shared, source, retry: Retry::default() };
        started.threads.push(thread::Builder::new().name("store".into()).spawn(move || keeper.run())?);
        Ok(started)
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for thread in &self.threads {
            thread.thread().unpark();
        }
        for thread in self.threads.drain(..) {
            // A panic was printed by the thread; a store that ends has nobody to tell.
            let _ = thread.join();
        }
    }
}

/// Syncs groups of entries: whatever was appended while one sync was under way is the next group.
fn commit<F: Files>(log: &Log<F>, shared: &Shared) {
    while !shared.stop.load(Ordering::Acquire) {
        let wanted = shared.wanted.swap(false, Ordering::AcqRel);
        match wanted || log.accepts() && log.appended() > log.durable() {
            true => {
                log.sync();
            }
            false => thread::park_timeout(IDLE),
        }
    }
}

/// The thread that writes snapshots.
struct Keeper<F: Files, S> {
    node: String,
    log: Arc<Log<F>>,
    shared: Arc<Shared>,
    source: S,
    retry: Retry,
}

impl<F: Files, S: SnapshotSource, N: Fn() -> S> Keeper<F, N> {
    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            self.turn(Instant::now());
            thread::park_timeout(IDLE);
        }
        self.log.sync();
    }

    fn turn(&mut self, now: Instant) {
        // What a batch that forgot to flush left in the buffer.
        self.log.flush();
        if !self.retry.due(now) || !self.log.snapshot_due() {
            return;
        }
        let failed = !self.log.accepts();
        match snapshot(&self.log, &self.source) {
            Ok(()) => {
                self.retry = Retry::default();
                let status = self.log.status();
                if failed {
                    tracing::info!(
                        node = %self.node,
                        dropped = status.entries_dropped,
                        "the records are written again, reports are taken"
                    );
                } else {
                    tracing::debug!(node = %self.node, bytes = status.snapshot_bytes, "snapshot of the records written");
                }
            }
            Err(error) => {
                let wait = self.retry.failed(now);
                tracing::warn!(node = %self.node, %error, retry_in_s = wait.as_secs(), "the records could not be written as a snapshot");
            }
        }
    }
}

/// Waits between attempts that fail: 1 s, and twice as long each time, up to 10 s.
#[derive(Debug, Default)]
struct Retry {
    wait: Duration,
    not_before: Option<Instant>,
}

impl Retry {
    fn due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|time| now >= time)
    }

    fn failed(&mut self, now: Instant) -> Duration {
        self.wait = (self.wait * 2).clamp(RETRY_MIN, RETRY_MAX);
        self.not_before = Some(now + self.wait);
        self.wait
    }
}

/// Longest wait of a thread that was not woken. A snapshot is that late, and so is a sync that nobody asked for.
const IDLE: Duration = Duration::from_millis(100);
/// First wait after a failed attempt. A disk that hiccups costs a second of reports.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait. Freed space is found within it.
const RETRY_MAX: Duration = Duration::from_secs(10);
