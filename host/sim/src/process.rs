//! Process of a simulated node: its replica, log and sessions, from a start to its end.
//!
//! Started as `host/node` starts one: recover, begin the log, sync it, serve. Knows nothing of links and time. Bounds: those of its parts.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_replication::{Epoch, Ingest, RecordLimits, Replica, ReplicaConfig, Stamp, Vector};
use herd_rollout::{GuestDisk, RolloutStart};
use herd_sessions::{Dialogues, SessionLimits, Topics};
use herd_store::{
    Durability, EntryRun, Log, LogJournal, LogOptions, SimFiles, SnapshotSource, StoreConfig, SyncRequests, recover,
};
use parking_lot::Mutex;

use crate::chance::Chance;
use crate::decider::Decider;
use crate::generations::Generations;
use crate::guests::Guests;
use crate::history::{Held, History, OwnedRank, Seen};
use crate::logic_host::{GuestIngest, WorkerHost};
use crate::node_guests::NodeGuests;
use crate::simulation::Deciding;
use crate::swap_files::SwapFiles;
use crate::swaps::Swaps;
use crate::violation::Violation;

/// Settings that all processes of a herd share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HerdSettings {
    pub(crate) durability: Durability,
    pub(crate) acks: usize,
    pub(crate) workers: usize,
    pub(crate) refused_percent: u64,
    pub(crate) expire_after_s: u64,
    /// Bytes of log after which a snapshot is due.
    pub(crate) log_bytes_max: u64,
    /// Some processes are of a later version.
    pub(crate) versions: bool,
}

/// Settings and disk with which a process starts.
pub(crate) struct Start<'a> {
    pub(crate) name: &'a str,
    /// Number of the node.
    pub(crate) number: usize,
    /// Names of all nodes.
    pub(crate) nodes: BTreeSet<String>,
    pub(crate) files: &'a SimFiles,
    pub(crate) swap_files: &'a SimFiles,
    pub(crate) guests: &'a Arc<Guests>,
    pub(crate) deciding: Deciding<'a>,
    /// The process is of a later version.
    pub(crate) later: bool,
    /// No disk of the herd has failed or lost power.
    pub(crate) is_whole: bool,
    pub(crate) epoch: Epoch,
    pub(crate) now: Instant,
    /// The same by the clock of the node, in seconds since the Unix epoch.
    pub(crate) wall_s: u64,
}

/// A running node.
pub(crate) struct Process {
    pub(crate) replica: Arc<Replica>,
    pub(crate) ingest: Ingest<GuestIngest>,
    pub(crate) deciders: Arc<NodeGuests>,
    pub(crate) log: Option<Arc<Log<SimFiles>>>,
    /// Sessions by worker.
    pub(crate) workers: Vec<Worker>,
    pub(crate) seen: Seen,
    pub(crate) snapshot: Option<SnapshotUnderWay>,
    /// Records of a recovery behind damage have new stamps.
    pub(crate) restamped: bool,
    pub(crate) swaps: Swaps,
    /// Generation to which quarantined reports were offered last.
    pub(crate) offered: u64,
}

pub(crate) struct Worker {
    pub(crate) host: Arc<WorkerHost>,
    pub(crate) dialogues: Rc<Dialogues<WorkerHost>>,
    /// A decision is due.
    pub(crate) scheduled: bool,
}

/// A snapshot between two of its steps.
pub(crate) struct SnapshotUnderWay {
    pub(crate) file: herd_store::Snapshot<SimFiles>,
    pub(crate) source: Source,
}

pub(crate) struct Source(herd_replication::Snapshot);

impl SnapshotSource for Source {
    fn fill(&mut self, run: &mut EntryRun) -> bool {
        self.0.next(|kind, payload| run.push(kind, payload))
    }
}

impl Start<'_> {
    /// Starts the part of the node in swaps, over what its disk has.
    fn swaps(&self, chance: &mut Chance) -> Result<Swaps, Violation> {
        let files = SwapFiles(self.swap_files.clone());
        let mut stored = files.state().map_err(|_| Violation::Unreadable { node: self.name.into() })?;
        let has = |digest| files.read(digest).is_some();
        let generations = Generations::start(self.number, self.guests, &mut stored, has);
        let mut random = Chance::new(chance.draw());
        let start = RolloutStart {
            node: self.name.into(),
            nodes: self.nodes.clone(),
            configured: Arc::clone(self.guests.bytes(0)).into(),
            serving: generations.live().0,
            candidate_max: CANDIDATE_MAX,
            disk: Box::new(files.clone()),
            stored,
            random: Box::new(move || random.draw()),
            now: self.now,
        };
        Ok(Swaps::new(start, generations, files))
    }
}

/// Time for which tombstones are kept, as by default.
pub(crate) const TOMBSTONES_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Silence of a coordinator after which its candidate is dropped, as by default.
const CANDIDATE_MAX: Duration = Duration::from_secs(5);

impl Process {
    /// Starts a node over what its disk has.
    ///
    /// # Errors
    ///
    /// Its log does not decode.
    pub(crate) fn start(start: Start<'_>, settings: HerdSettings, chance: &mut Chance) -> Result<Self, Violation> {
        let Start { name, number, files, epoch, .. } = start;
        let HerdSettings { durability, acks, workers, refused_percent, expire_after_s, log_bytes_max, .. } = settings;
        let limits = RecordLimits::default();
        let hash_key = chance.draw().into();
        let mut replica = Replica::without_log(ReplicaConfig {
            node: name.into(),
            epoch,
            workers,
            limits,
            hash_key,
            herd_key: 0x4e7d,
            acks,
            arrivals: 0,
        });
        let mut restamped = false;
        let mut log = None;
        if durability != Durability::Memory {
            let mut recovery = replica.recovery().at(start.wall_s);
            let mut malformed = false;
            let deliver = |kind, payload: &[u8], intact| malformed |= recovery.entry(kind, payload, intact).is_err();
            let recovered = recover(files, deliver, |_| ()).map_err(|_| Violation::Unreadable { node: name.into() })?;
            if let Some(damage) = recovered.damages.first().filter(|_| start.is_whole) {
                return Err(Violation::Damaged { node: name.into(), what: damage.to_string() });
            }
            restamped = recovery.finish().restamped > 0;
            if malformed {
                return Err(Violation::Unreadable { node: name.into() });
            }
            let config = StoreConfig { durability, ..StoreConfig::default() };
            let options = LogOptions { log_bytes_max, later: start.later, ..LogOptions::new(&config, chance.draw()) };
            let begun = Arc::new(Log::begin(files.clone(), &recovered, options, || ()));
            replica.attach(LogJournal::new(Arc::clone(&begun), durability, SyncRequests::default()));
            replica.expire(start.wall_s);
            replica.note_contact(start.wall_s, TOMBSTONES_KEPT.as_secs());
            if durability == Durability::Disk {
                begun.sync();
            } else {
                begun.flush();
            }
            log = Some(begun);
        }
        let replica = Arc::new(replica);
        let swaps = start.swaps(chance)?;
        let serving = &swaps.generations.serving;
        let records = Arc::clone(replica.table());
        let Deciding { guests, checked_percent } = start.deciding;
        let chance = Chance::new(chance.draw());
        let deciders = NodeGuests::start(guests, name, records, Arc::clone(serving), checked_percent, chance)?;
        let deciders = Arc::new(deciders);
        let topics = Arc::new(Topics::default());
        let worker = |worker| {
            let host = Arc::new(WorkerHost {
                name: name.into(),
                worker,
                replica: Arc::clone(&replica),
                guests: Arc::clone(&deciders),
                serving: Arc::clone(&swaps.generations.serving),
                waits: durability == Durability::Disk || acks > 0,
                expire_after_s,
                now_s: 0.into(),
                notes: Mutex::default(),
            });
            let limits = SessionLimits::default();
            let dialogues = Rc::new(Dialogues::new(Arc::clone(&host), Arc::clone(&topics), limits));
            Worker { host, dialogues, scheduled: false }
        };
        let workers = (0..workers).map(worker).collect();
        // Guests that are checked decide alone, or their nodes could not answer alike.
        let stand_in = checked_percent.is_none().then(|| Decider::new(number, refused_percent));
        let guest = GuestIngest::new(Arc::clone(&deciders), stand_in, Arc::clone(&swaps.generations.serving));
        let ingest = Ingest::new(Arc::clone(&replica), guest);
        Ok(Self {
            replica,
            ingest,
            deciders,
            log,
            workers,
            seen: Seen::default(),
            snapshot: None,
            restamped,
            swaps,
            offered: 1,
        })
    }

    /// Notes the keeps that a recovery behind damage has made, or a return after an absence.
    pub(crate) fn note_restamped(&mut self, history: &mut History) {
        let own = self.replica.own_marks();
        let mut restamped: Vec<(Stamp, Held)> = Vec::new();
        for shard in 0..self.replica.table().shards() {
            self.replica.table().visit(shard, |report, _| {
                if own.get(report.head.stamp.lane).is_some() {
                    let held = Held { key: report.key.to_vec(), rank: OwnedRank::of(report.ranked()) };
                    restamped.push((report.head.stamp, held));
                }
            });
        }
        for (stamp, held) in restamped {
            history.restamp(&self.replica, &mut self.seen, stamp, held);
        }
    }

    /// Syncs the log, and notes what of the vector is durable.
    pub(crate) fn sync(&self) {
        let Some(log) = &self.log else { return };
        // The vector before the position, and the position reached: as the node does it.
        let (incarnation, vector): (u64, Vector) = (self.replica.incarnation(), self.replica.vector());
        let position = log.appended();
        if log.sync() >= position {
            self.replica.checkpoint(&vector, incarnation);
        }
    }

    /// Begins a snapshot if one is due, or goes on with the one that was begun. Returns whether one was completed.
    pub(crate) fn step_snapshot(&mut self, steps: u64) -> bool {
        let Some(log) = &self.log else { return false };
        let Some(under_way) = &mut self.snapshot else {
            if log.snapshot_due() {
                let source = Source(self.replica.snapshot());
                self.snapshot = herd_store::Snapshot::begin(log).ok().map(|file| SnapshotUnderWay { file, source });
            }
            return false;
        };
        for _ in 0..steps {
            match under_way.file.step(&mut under_way.source) {
                Ok(true) => {}
                Ok(false) => {
                    let SnapshotUnderWay { file, .. } = self.snapshot.take().expect("it is under way");
                    return file.finish().is_ok();
                }
                Err(_) => {
                    self.snapshot = None;
                    return false;
                }
            }
        }
        false
    }
}
