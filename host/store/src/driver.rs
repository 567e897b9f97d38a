//! The threads of a store: one commits groups of entries in `disk`, one writes snapshots and recovers from failures.
//!
//! Knows nothing of records. Bounds: two threads; the waits between attempts. Both end when the [`StoreThread`] is dropped, after
//! a last sync.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// Position of the log for which the thread that syncs waits, to sync a larger group. 0 if it waits for any entry.
    goal: AtomicU64,
    /// Syncs that were done, and the time that they took together.
    syncs: AtomicU64,
    syncs_ns: AtomicU64,
    /// The thread that syncs, once it runs.
    committer: OnceLock<Thread>,
}

/// Requests for syncs, on their way to the thread that does them.
#[derive(Clone, Default)]
pub struct SyncRequests(Arc<Shared>);

impl SyncRequests {
    /// Asks for a sync of what was appended up to a position of the log. Cheap while one is under way; it is followed by another.
    ///
    /// Call it once for each batch. A forgotten call costs its entries a tenth of a second.
    pub fn request(&self, position: u64) {
        if self.wakes(position)
            && let Some(committer) = self.0.committer.get()
        {
            committer.unpark();
        }
    }

    /// Returns the number of syncs since the start, also of those that failed, and the time that they took together. 0 unless the
    /// durability is `disk`.
    #[must_use]
    pub fn syncs(&self) -> (u64, Duration) {
        let Shared { syncs, syncs_ns, .. } = &*self.0;
        (syncs.load(Ordering::Relaxed), Duration::from_nanos(syncs_ns.load(Ordering::Relaxed)))
    }

    /// Notes a request. Returns whether the thread that syncs may be waiting for it.
    fn wakes(&self, position: u64) -> bool {
        let is_first = !self.0.wanted.swap(true, Ordering::AcqRel);
        let goal = self.0.goal.load(Ordering::Acquire);
        is_first || goal > 0 && position >= goal
    }

    /// Returns whether a sync was asked for, and takes the request.
    pub(crate) fn take(&self) -> bool {
        self.0.wanted.swap(false, Ordering::AcqRel)
    }
}

impl StoreThread {
    /// Starts the threads of the node `node`, which its log lines name. `source` returns everything that the node keeps, for a
    /// snapshot; it reads the vector.
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
            let (log, syncs) = (log.clone(), syncs.clone());
            let committer = thread::Builder::new().name("commit".into()).spawn(move || commit(&log, &syncs))?;
            let _ = shared.committer.set(committer.thread().clone());
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

/// Syncs groups of entries: what was appended while one sync was under way, and a moment longer, is the next group.
///
/// A sync costs the processor as much as some ten replies, whatever it covers. Clients whose reports were just confirmed send their
/// next ones, so the next group is given a moment to become as large as the last. A client alone
/// waits for it only where its report is shorter than its last one.
fn commit<F: Files>(log: &Log<F>, syncs: &SyncRequests) {
    let mut group_bytes = 0;
    while !syncs.0.stop.load(Ordering::Acquire) {
        match sync_due(log, syncs) {
            true => {
                let durable = log.durable();
                gather(log, syncs, durable + group_bytes);
                let began = Instant::now();
                group_bytes = log.sync().saturating_sub(durable);
                let took_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                syncs.0.syncs_ns.fetch_add(took_ns, Ordering::Relaxed);
                syncs.0.syncs.fetch_add(1, Ordering::Relaxed);
            }
            false => thread::park_timeout(IDLE),
        }
    }
}

/// Waits until the log has reached a position, for [`GATHER_MAX`] at most.
fn gather<F: Files>(log: &Log<F>, syncs: &SyncRequests, goal: u64) {
    let deadline = Instant::now() + GATHER_MAX;
    syncs.0.goal.store(goal, Ordering::Release);
    while log.appended() < goal && log.accepts() && !syncs.0.stop.load(Ordering::Acquire) {
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => break,
            wait => thread::park_timeout(wait),
        }
    }
    syncs.0.goal.store(0, Ordering::Release);
}

/// Takes a request for a sync. Returns whether there was one, or entries wait for a sync that nobody asked for.
fn sync_due<F: Files>(log: &Log<F>, syncs: &SyncRequests) -> bool {
    let wanted = syncs.take();
    wanted || log.accepts() && log.appended() > log.durable()
}

/// The thread that writes snapshots.
///
/// It has the priority of a worker: it locks shards of the table for as long as it copies them, and workers wait for it.
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
/// Longest wait for a group to grow. A reply is that much later at most.
const GATHER_MAX: Duration = Duration::from_micros(500);
/// First wait after a failed attempt. A disk that hiccups costs a second of reports.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait. Freed space is found within it.
const RETRY_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use herd_replication::JournalKind;

    use super::*;
    use crate::sim_files::{DiskOperation, SimFiles};
    use crate::tests::node::{Texts, append, begin, disk_options, options, read};
    use crate::{LogOptions, recover};

    struct Running {
        files: SimFiles,
        log: Arc<Log<SimFiles>>,
        syncs: SyncRequests,
        thread: StoreThread,
        news: mpsc::Receiver<()>,
    }

    fn start(options: LogOptions) -> Running {
        let (files, syncs) = (SimFiles::new(), SyncRequests::default());
        let recovered = recover(&files, |_, _, _| {}, |_| {}).unwrap();
        let (told, news) = mpsc::channel();
        let log = Arc::new(Log::begin(files.clone(), &recovered, options, move || {
            let _ = told.send(());
        }));
        let source = || Texts(vec!["all"]);
        let thread = StoreThread::start("Riley", log.clone(), options.durability, &syncs, source).unwrap();
        Running { files, log, syncs, thread, news }
    }

    impl Running {
        /// Waits for news of the log until this holds.
        fn until(&self, holds: impl Fn(&Log<SimFiles>) -> bool) {
            while !holds(&self.log) {
                self.news.recv_timeout(Duration::from_secs(60)).unwrap();
            }
        }
    }

    #[test]
    fn store_thread_syncs_what_is_asked_for() {
        let running = start(disk_options());
        for text in ["first", "second"] {
            let position = running.log.append(JournalKind::Report, text.as_bytes());
            running.syncs.request(position);
            running.until(|log| log.durable() >= position);
        }
        drop(running.thread);
        let (syncs, took) = running.syncs.syncs();
        assert!(syncs >= 2 && took > Duration::ZERO, "{syncs} {took:?}");
    }

    /// Goal: a report whose group stays smaller than the last one is synced all the same. Method: two at once, then one alone.
    #[test]
    fn store_thread_syncs_a_group_that_does_not_grow() {
        let running = start(disk_options());
        running.log.append(JournalKind::Report, b"first");
        let position = running.log.append(JournalKind::Report, b"second");
        running.syncs.request(position);
        running.until(|log| log.durable() >= position);
        let position = running.log.append(JournalKind::Report, b"alone");
        running.syncs.request(position);
        running.until(|log| log.durable() >= position);
    }

    #[test]
    fn sync_request_wakes_the_thread_that_syncs() {
        let (syncs, (woken, wakes)) = (SyncRequests::default(), mpsc::channel());
        let thread = thread::spawn(move || {
            thread::park();
            woken.send(()).unwrap();
        });
        syncs.0.committer.set(thread.thread().clone()).unwrap();
        syncs.request(1);
        wakes.recv_timeout(Duration::from_secs(60)).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn sync_request_wakes_for_the_first_and_for_the_one_that_completes_a_group() {
        let syncs = SyncRequests::default();
        assert_eq!([5, 10].map(|position| syncs.wakes(position)), [true, false]);
        syncs.0.goal.store(20, Ordering::Release);
        assert_eq!([15, 20, 25].map(|position| syncs.wakes(position)), [false, true, true]);
        assert!(syncs.take() && syncs.wakes(16), "the first after a sync has begun");
    }

    #[test]
    fn sync_is_due_if_requested_or_if_a_log_that_accepts_has_unsynced_entries() {
        let (files, syncs) = (SimFiles::new(), SyncRequests::default());
        let log = begin(&files, disk_options());
        assert!(!sync_due(&log, &syncs));
        append(&log, "first");
        assert!(sync_due(&log, &syncs));
        log.sync();
        assert!(!sync_due(&log, &syncs));
        syncs.request(log.appended());
        assert_eq!([sync_due(&log, &syncs), sync_due(&log, &syncs)], [true, false]);
        append(&log, "second");
        files.fail(DiskOperation::Sync, 0, 1);
        log.sync();
        assert!(!sync_due(&log, &syncs), "a log that has failed is written anew by a snapshot");
    }

    #[test]
    fn store_thread_syncs_what_nobody_asked_for() {
        let running = start(disk_options());
        let position = running.log.append(JournalKind::Report, b"first");
        running.until(|log| log.durable() >= position);
    }

    #[test]
    fn store_thread_recovers_a_log_that_failed() {
        let running = start(disk_options());
        running.files.fail(DiskOperation::Sync, 0, 1);
        let position = running.log.append(JournalKind::Report, b"first");
        running.syncs.request(position);
        running.until(|log| log.durable() >= position);
        assert!(running.log.accepts());
        drop(running.thread);
        assert_eq!(read(&running.files).texts(), ["all"]);
    }

    #[test]
    fn store_thread_writes_a_snapshot_when_it_is_due_and_what_nobody_flushed() {
        let running = start(LogOptions { log_bytes_max: 200, ..options() });
        running.log.append(JournalKind::Report, &[b'x'; 100]);
        // In `os` nothing is told of a snapshot; the end of the thread comes after it.
        let deadline = Instant::now() + Duration::from_secs(60);
        while running.log.status().snapshot_bytes == 0 {
            assert!(Instant::now() < deadline, "{:?}", running.log.status());
            thread::sleep(Duration::from_millis(1));
        }
        drop(running.thread);
        assert_eq!(read(&running.files).texts()[0], "all");
    }

    #[test]
    fn store_thread_syncs_when_it_ends() {
        let running = start(options());
        running.log.append(JournalKind::Report, b"first");
        drop(running.thread);
        running.files.crash(&mut |_| 0);
        assert_eq!(read(&running.files).texts(), ["first"]);
    }

    #[test]
    fn snapshot_that_failed_is_written_again_after_a_wait() {
        let files = SimFiles::new();
        let log = begin(&files, LogOptions { log_bytes_max: 20, ..options() });
        append(&log, "longer than the log may become");
        let source = || Texts(vec!["all"]);
        let (log, shared, retry) = (log, Arc::default(), Retry::default());
        let mut keeper = Keeper { node: "Riley".into(), log: Arc::clone(&log), shared, source, retry };
        files.fail(DiskOperation::Name, 0, u64::MAX);
        let began = Instant::now();
        keeper.turn(began);
        files.heal();
        let mut is_written = |after: Duration| {
            keeper.turn(began + after);
            log.status().snapshot_bytes > 0
        };
        let just_before = RETRY_MIN - Duration::from_millis(1);
        assert_eq!([just_before, RETRY_MIN].map(&mut is_written), [false, true]);
    }

    #[test]
    fn retries_wait_longer_each_time_up_to_a_limit() {
        let (start, mut retry) = (Instant::now(), Retry::default());
        assert!(retry.due(start));
        let waits: Vec<_> = (0..6).map(|_| retry.failed(start).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert!(!retry.due(start + Duration::from_millis(9999)));
        assert!(retry.due(start + RETRY_MAX));
    }
}
