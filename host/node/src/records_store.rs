//! Durable records of a node: recovery at its start, the log while it runs.
//!
//! Owns the folder of the node in the state directory, which is locked as long as the node runs. The crate `store` owns formats
//! and threads; this connects it with the replica.

use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use herd_replication::{Ingest, IngestHost, Replica, ReplicaConfig, Snapshot, Vector};
use herd_store::{
    DiskFiles, Durability, EntryRun, Log, LogJournal, LogOptions, LogStatus, RecoveryProgress, SnapshotError,
    SnapshotSource, StoreConfig, StoreThread, SyncRequests, backup, recover_ahead,
};
use herd_sys::clock::unix_now;
use herd_sys::workers;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::error::StartError;
use crate::start_time::next_start;

/// Durable records of a node.
pub(crate) struct RecordsStore {
    log: Option<Arc<Log<DiskFiles>>>,
    durability: Durability,
    /// Keeps the log short, and durable.
    thread: Mutex<Option<StoreThread>>,
    syncs: SyncRequests,
    progress: Arc<Progress>,
    /// Locked, also without a log: two nodes of one name must not run on one state directory.
    _folder: Option<DiskFiles>,
}

/// Told by the log of its progress.
pub(crate) struct Progress {
    changed: watch::Sender<()>,
    replica: OnceLock<Weak<Replica>>,
    log: OnceLock<Weak<Log<DiskFiles>>>,
    /// A vector that was read, its incarnation, and the position of the log behind all that it covers.
    pending: Mutex<Option<(Vector, u64, u64)>>,
}

/// Lets a replica know the time, has reports decided that no guest has decided, and removes what has expired and what nobody needs, until it is
/// gone.
pub(crate) async fn housekeeping<H: IngestHost + Send + Sync + 'static>(
    replica: Weak<Replica>,
    ingest: Weak<Ingest<H>>,
    forget_keep: Duration,
) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut swept, mut expired) = (Instant::now(), Instant::now());
    let mut offering: Option<JoinHandle<()>> = None;
    loop {
        ticks.tick().await;
        let (Some(replica), Some(ingest)) = (replica.upgrade(), ingest.upgrade()) else { return };
        let now_s = unix_now().as_secs();
        replica.table().set_now(now_s);
        // Guests may take their time.
        if ingest.has_undecided() && offering.as_ref().is_none_or(JoinHandle::is_finished) {
            offering = Some(tokio::task::spawn_blocking(move || ingest.offer_undecided(workers::index())));
        }
        if swept.elapsed() >= SWEEP_INTERVAL {
            swept = Instant::now();
            let is_minute = expired.elapsed() >= EXPIRY_INTERVAL;
            if is_minute {
                expired = Instant::now();
            }
            // Reads every shard for a moment.
            let chores = move || {
                replica.sweep();
                if is_minute {
                    let removed = replica.expire(now_s);
                    replica.note_contact(now_s, forget_keep.as_secs());
                    replica.flush();
                    if removed > 0 {
                        tracing::debug!(node = %replica.node(), removed, "expired records removed");
                    }
                }
            };
            let _ = tokio::task::spawn_blocking(chores).await;
        }
    }
}

/// A snapshot of a replica, for the log.
pub(crate) struct ReplicaSource(Snapshot);

impl RecordsStore {
    /// Opens the folder of a node and recovers its replica. Says so if it had no link for longer than `forget_keep`. Blocks, as long as
    /// reading the log takes.
    ///
    /// # Errors
    ///
    /// The folder is in use by another process, or cannot be read, or is of a later version.
    pub(crate) fn open(
        folder: &Path,
        mut replica: ReplicaConfig,
        config: StoreConfig,
        forget_keep: Duration,
    ) -> Result<(Self, Arc<Replica>), StartError> {
        let node = replica.node.clone();
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| StartError::Records { node: node.clone(), source };
        let files = DiskFiles::open(folder).map_err(|error| failed(error.into()))?;
        match next_start(folder, replica.epoch.started_ms) {
            Ok(started_ms) => replica.epoch.started_ms = started_ms,
            Err(error) => {
                tracing::warn!(%node, %error, "the time of this start is not stored; do not set the clock back");
            }
        }
        let mut replica = Replica::without_log(replica);
        let progress = Arc::new(Progress::new());
        if config.durability == Durability::Memory {
            let store = Self {
                log: None,
                durability: config.durability,
                thread: Mutex::default(),
                syncs: SyncRequests::default(),
                progress,
                _folder: Some(files),
            };
            return Ok((store, Arc::new(replica)));
        }
        let (mut recovery, mut malformed) = (replica.recovery().at(unix_now().as_secs()), 0_u64);
        let mut report = ProgressReport::new(&node);
        // Behind an entry that does not decode, vectors count for nothing, as behind one that is damaged.
        let deliver = |kind, payload: &[u8], intact: bool| {
            malformed += u64::from(recovery.entry(kind, payload, intact && malformed == 0).is_err());
        };
        let recovered =
            recover_ahead(&files, deliver, |progress| report.on(progress)).map_err(|error| failed(error.into()))?;
        let taken = recovery.finish();
        for damage in &recovered.damages {
            tracing::error!(%node, %damage, "the log is damaged; peers have what is missing, if they had it before");
        }
        if malformed > 0 {
            tracing::error!(%node, entries = malformed, "entries of the log do not decode and were left out");
        }
        let keys = replica.table().keys();
        if keys > 0 {
            let (entries, restamped) = (taken.records, taken.restamped);
            tracing::info!(%node, records = keys, entries, restamped, took_ms = report.took_ms(), "records recovered");
        }
        let told = Arc::clone(&progress);
        let log = Log::begin(files, &recovered, LogOptions::new(&config, rand::random()), move || told.on_news());
        let log = Arc::new(log);
        let syncs = SyncRequests::default();
        replica.attach(LogJournal::new(Arc::clone(&log), config.durability, syncs.clone()));
        let now_s = unix_now().as_secs();
        // The log has tombstones and records that the process before removed. A report that comes first must not lose to them.
        replica.expire(now_s);
        replica.note_contact(now_s, forget_keep.as_secs());
        if let Some(since_s) = replica.absent_since_s() {
            let days = now_s.saturating_sub(since_s) / DAY_S;
            tracing::warn!(%node, days, "no link for longer than forgotten keys are remembered: a peer that was not away replaces the records");
        }
        // Before the first link: an epoch that peers have heard of must not be forgotten here.
        if config.durability == Durability::Disk {
            log.sync();
        } else {
            log.flush();
        }
        let replica = Arc::new(replica);
        progress.attach(&replica, &log);
        let source = Arc::clone(&replica);
        let thread = StoreThread::start(&node, Arc::clone(&log), config.durability, &syncs, move || {
            ReplicaSource(source.snapshot())
        });
        let thread = Mutex::new(Some(thread.map_err(|error| failed(error.into()))?));
        Ok((Self { log: Some(log), durability: config.durability, thread, syncs, progress, _folder: None }, replica))
    }

    /// Returns what tells sessions that a confirmation may have advanced.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Returns the figures of the log; `None` in `memory`.
    pub(crate) fn status(&self) -> Option<LogStatus> {
        self.log.as_ref().map(|log| log.status())
    }

    /// Returns the number of syncs in `disk`, and the time that they took together.
    pub(crate) fn syncs(&self) -> (u64, Duration) {
        self.syncs.syncs()
    }

    /// Hands everything that was kept to the operating system, or to the disk where it has to be there. Blocks.
    pub(crate) fn write_out(&self, replica: &Replica) {
        match &self.log {
            Some(log) if self.durability == Durability::Disk => {
                log.sync();
            }
            _ => {
                replica.flush();
            }
        }
    }

    /// Writes a consistent copy of the records into an empty or new directory, and returns its bytes. Blocks.
    ///
    /// # Errors
    ///
    /// See [`SnapshotError`].
    pub(crate) fn back_up(&self, into: &Path, replica: &Arc<Replica>) -> Result<u64, SnapshotError> {
        let disk = |error: herd_store::FolderError| SnapshotError::Disk {
            doing: "written",
            source: std::io::Error::other(error.to_string()),
        };
        let target = DiskFiles::open(into).map_err(disk)?;
        backup(&target, rand::random(), || ReplicaSource(replica.snapshot()))
    }

    /// Ends the threads, after a last sync. Blocks.
    pub(crate) fn stop(&self) {
        drop(self.thread.lock().take());
    }
}

impl Progress {
    fn new() -> Self {
        let changed = watch::Sender::new(());
        Self { changed, replica: OnceLock::new(), log: OnceLock::new(), pending: Mutex::default() }
    }

    fn attach(&self, replica: &Arc<Replica>, log: &Arc<Log<DiskFiles>>) {
        let _ = self.replica.set(Arc::downgrade(replica));
        let _ = self.log.set(Arc::downgrade(log));
    }

    /// Returns a receiver that learns when a confirmation may have advanced.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Says that a peer has acknowledged more.
    pub(crate) fn acknowledged(&self) {
        self.changed.send_replace(());
    }

    /// Takes note that the log is durable up to a later position, or failed, or was made good.
    fn on_news(&self) {
        if let (Some(replica), Some(log)) =
            (self.replica.get().and_then(Weak::upgrade), self.log.get().and_then(Weak::upgrade))
        {
            self.checkpoint(&replica, &log);
        }
        self.changed.send_replace(());
    }

    /// Notes what of the vector is durable. The vector has to be read before the position, and the position reached.
    fn checkpoint(&self, replica: &Replica, log: &Log<DiskFiles>) {
        // Before the vector: what is dropped meanwhile is not durable.
        let incarnation = replica.incarnation();
        let vector = replica.vector();
        let (position, durable) = (log.appended(), log.durable());
        let mut pending = self.pending.lock();
        let reached = if durable >= position {
            *pending = None;
            Some((vector, incarnation))
        } else if let Some((earlier, of, _)) = pending.take_if(|(.., position)| durable >= *position) {
            *pending = Some((vector, incarnation, position));
            Some((earlier, of))
        } else {
            // Under load there is always more to sync: what is read now is durable after one of the next syncs.
            pending.get_or_insert((vector, incarnation, position));
            None
        };
        drop(pending);
        if let Some((vector, incarnation)) = reached {
            replica.checkpoint(&vector, incarnation);
            if replica.acks() > 0 {
                replica.wake_links();
            }
        }
    }
}

impl SnapshotSource for ReplicaSource {
    fn fill(&mut self, run: &mut EntryRun) -> bool {
        self.0.next(|kind, payload| run.push(kind, payload))
    }
}

/// Log lines of a long start.
struct ProgressReport<'a> {
    node: &'a str,
    began: Instant,
    said: Instant,
}

impl<'a> ProgressReport<'a> {
    fn new(node: &'a str) -> Self {
        let now = Instant::now();
        Self { node, began: now, said: now }
    }

    fn on(&mut self, progress: RecoveryProgress) {
        if self.said.elapsed() >= PROGRESS_INTERVAL {
            self.said = Instant::now();
            let RecoveryProgress { bytes, bytes_all, entries } = progress;
            tracing::info!(node = %self.node, entries, mib = bytes >> 20, of_mib = bytes_all >> 20, "reading records");
        }
    }

    fn took_ms(&self) -> u128 {
        self.began.elapsed().as_millis()
    }
}

/// Seconds of a day.
pub(crate) const DAY_S: u64 = 24 * 60 * 60;
/// Resolution of the time by which records expire.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(500);
/// Between two looks for lanes that no record needs.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Between two removals of expired records, and between two notes in the log that a link was up.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// Between two lines about a recovery.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use herd_replication::{Epoch, LinkFrame, LinkMachine, LinkPort, NewRecord, RecordLimits, WakeLink};

    use super::*;

    /// Task of a link that does nothing.
    struct Asleep;

    impl WakeLink for Asleep {
        fn reports_queued(&self) {}
        fn frame_filled(&self) {}
    }

    /// Opens the records of a node whose clock says `now_ms`.
    fn open(folder: &Path, durability: Durability, now_ms: u64) -> (RecordsStore, Arc<Replica>) {
        let replica = ReplicaConfig {
            node: "Riley".into(),
            epoch: Epoch { started_ms: now_ms, random: 1 },
            workers: 1,
            limits: RecordLimits::default(),
            hash_key: 1,
            acks: 0,
            herd_key: 1,
            arrivals: 0,
        };
        let config = StoreConfig { durability, ..StoreConfig::default() };
        RecordsStore::open(folder, replica, config, Duration::from_secs(DAY_S)).unwrap()
    }

    /// Opens the records of a node as [`open`], and returns the start of its newest epoch.
    fn start(folder: &Path, durability: Durability, now_ms: u64) -> u64 {
        let (store, replica) = open(folder, durability, now_ms);
        store.stop();
        let lanes = replica.lanes().since(0);
        lanes.iter().map(|(_, lane)| lane.epoch.started_ms).max().unwrap()
    }

    #[test]
    fn epoch_after_the_clock_was_set_back_is_the_newer_one_also_in_memory() {
        for durability in [Durability::Memory, Durability::Os] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().join("Riley");
            assert_eq!(start(&folder, durability, 5_000), 5_000);
            assert!(start(&folder, durability, 3_000) > 5_000, "{durability:?}");
        }
    }

    /// Goal: a start leaves nothing that has ended, to which a new report would lose. Method: a tombstone that ended an hour ago, read by the next
    /// process.
    #[test]
    fn tombstone_that_has_ended_is_removed_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("Riley");
        let (store, replica) = open(&folder, Durability::Os, 1);
        // As by the clock of a day ago: a tombstone that has ended is not kept.
        let now_s = unix_now().as_secs();
        replica.table().set_now(now_s - DAY_S);
        let _ = replica.forget(b"kiwi", now_s - 3600);
        assert!(replica.table().highest(b"kiwi", |_, _| ()).is_some());
        store.write_out(&replica);
        store.stop();
        // The folder is the process's as long as it has it open.
        drop((store, replica));
        let (store, replica) = open(&folder, Durability::Os, 2);
        assert!(replica.table().highest(b"kiwi", |_, _| ()).is_none());
        store.stop();
    }

    /// Goal: a node knows from its log when it last had a link, and a long time without one costs no record. Method: a contact of two days
    /// ago, then one of now, each read by the next process; a day is too long.
    #[test]
    fn last_link_is_read_from_the_log_and_no_record_is_dropped_at_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("Riley");
        let now_s = unix_now().as_secs();
        for (process, days, is_absent) in [(1, 2, false), (2, 0, true), (3, 0, false)] {
            let (store, replica) = open(&folder, Durability::Os, process);
            assert_eq!(replica.absent_since_s(), is_absent.then(|| now_s - 2 * DAY_S), "process {process}");
            let record = NewRecord { key: b"kiwi", rank: b"1", form: 1, record: b"AT", expires_at: 0, only: None };
            let _ = replica.keep(0, record);
            assert_eq!(replica.table().keys(), 1);
            let port = LinkPort::new("Juzang", 1 << 20, 1, Asleep);
            replica.add_link(&port);
            let mut machine = LinkMachine::new(Arc::clone(&replica), port);
            machine.hear(LinkFrame::Vector(Vec::new())).unwrap();
            // Twice: a link that is up for a moment ends no absence.
            (0..2).for_each(|_| replica.note_contact(now_s - days * DAY_S, DAY_S));
            store.write_out(&replica);
            store.stop();
        }
    }
}
