//! Schedules: a small herd whose steps come in an order that only the seed knows.
//!
//! The production replica, ingest and link machines run over links that deliver frames in order or are cut, and over a log that crashes
//! cut off. No time passes: a step follows another whatever a real network would make of it. This finds what depends on the order of
//! events in few steps; [`herd`](crate::herd) is the slower and more faithful world.
//!
//! Keeps, pushes and the log's append are one step, because the replica makes them one. Bounds: nodes, keys and steps of a run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use herd_model::{Confirmation, Keeping, Kept, Ticket};
use herd_replication::{
    Epoch, Ingest, JournalKind, LaneId, LinkFrame, LinkMachine, LinkPort, NewRecord, Rank, RecordLimits, Replica,
    ReplicaConfig, Snapshot, Stamp, Vector, WakeLink,
};
use herd_sdk::Records;

use crate::chance::Chance;
use crate::decider::Decider;
use crate::history::{Compared, Held, History, OwnedRank, Seen, check_equal};
use crate::memory_log::{MemoryLog, Survives};
use crate::violation::Violation;

/// Runs the schedule of a seed.
///
/// # Errors
///
/// See [`Violation`]. The seed replays it.
pub fn run_schedule(seed: u64) -> Result<(), Violation> {
    let mut world = World::new(seed);
    for _ in 0..world.steps {
        world.step()?;
    }
    world.settle()
}

struct World {
    chance: Chance,
    shape: Shape,
    steps: usize,
    nodes: Vec<Node>,
    pairs: Vec<(usize, usize)>,
    links: BTreeMap<(usize, usize), Link>,
    history: History,
    rank: u64,
    now_s: u64,
    crashed: bool,
    /// A recovery behind damage gave records new stamps.
    restamped: bool,
    starts: u64,
    weights: Vec<(Step, u64)>,
}

/// Settings that differ from seed to seed: a fixed mix would hide what needs an extreme.
struct Shape {
    survives: Survives,
    acks: usize,
    workers: usize,
    keys: u64,
    /// Bytes of a record. With long ones, queues overflow and resends take several turns.
    record_bytes: usize,
    refused_percent: u64,
    expiring_percent: u64,
}

struct Node {
    name: String,
    log: MemoryLog,
    replica: Arc<Replica>,
    ingest: Ingest<Decider>,
    seen: Seen,
    waiting: Vec<(Held, Ticket)>,
    syncing: Option<(Vector, usize)>,
    snapshot: Option<SnapshotUnderWay>,
}

struct SnapshotUnderWay {
    snapshot: Snapshot,
    segment: usize,
    entries: Vec<(JournalKind, Vec<u8>)>,
}

/// One end of a connection, and what it has sent.
struct Link {
    machine: LinkMachine,
    flight: VecDeque<(u8, Bytes)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Client,
    Forget,
    Time,
    Flush,
    Deliver,
    Turn,
    Sync,
    Answer,
    Connect,
    Cut,
    Sweep,
    Snapshot,
    Swap,
    Crash,
}

struct Asleep;

impl WakeLink for Asleep {
    // Turns come when the schedule wills.
    fn reports_queued(&self) {}
    fn frame_filled(&self) {}
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let (survives, acks) = chance.pick(&[
            (Survives::Nothing, 1),
            (Survives::Kill, 0),
            (Survives::Kill, 1),
            (Survives::PowerLoss, 0),
            (Survives::PowerLoss, 1),
        ]);
        let long = chance.percent(15);
        let shape = Shape {
            survives,
            acks,
            workers: chance.pick(&[1, 2, 3]),
            keys: if long { 40 } else { chance.pick(&[1, 4, 7, 30]) },
            record_bytes: if long { 60 << 10 } else { 20 },
            refused_percent: chance.pick(&[0, 10, 10, 30]),
            expiring_percent: chance.pick(&[0, 30]),
        };
        let count = chance.between(2, 5) as usize;
        let mut pairs = Vec::new();
        for a in 1..count {
            pairs.extend((0..a).filter(|b| a == b + 1 || chance.percent(40)).map(|b| (a, b)));
        }
        let weights = vec![
            (Step::Client, 20),
            (Step::Forget, chance.pick(&[0, 0, 1])),
            (Step::Time, 3),
            (Step::Flush, 10),
            (Step::Deliver, 45),
            (Step::Turn, chance.pick(&[5, 15, 30])),
            (Step::Sync, chance.pick(&[1, 4, 10])),
            (Step::Answer, 10),
            (Step::Connect, chance.pick(&[1, 3])),
            (Step::Cut, chance.pick(&[0, 1, 3])),
            (Step::Sweep, 1),
            (Step::Snapshot, chance.pick(&[0, 3, 20])),
            (Step::Swap, chance.pick(&[0, 1])),
            (Step::Crash, chance.pick(&[0, 1, 3])),
        ];
        let steps = chance.pick(&[400, 400, 400, 3000]);
        let mut world = Self {
            chance,
            shape,
            steps,
            nodes: Vec::new(),
            pairs,
            links: BTreeMap::new(),
            history: History::default(),
            rank: 0,
            now_s: 1,
            crashed: false,
            restamped: false,
            starts: 0,
            weights,
        };
        for number in 0..count {
            let log = MemoryLog::new(survives);
            let node = world.start(number, log);
            world.nodes.push(node);
        }
        for (a, b) in world.pairs.clone() {
            world.connect(a, b);
        }
        world
    }

    fn start(&mut self, number: usize, log: MemoryLog) -> Node {
        self.starts += 1;
        // The clock of a node may be set back between two starts.
        let started_ms = if self.shape.survives == Survives::Nothing { self.starts } else { self.chance.between(1, 9) };
        let name = NAMES[number].to_string();
        let config = ReplicaConfig {
            node: name.clone(),
            epoch: Epoch { started_ms, random: self.chance.draw() },
            workers: self.shape.workers,
            limits: RecordLimits::default(),
            hash_key: self.chance.draw().into(),
            acks: self.shape.acks,
            herd_key: 0x4e7d,
            arrivals: 0,
        };
        let earlier = {
            let mut entries = Vec::new();
            log.read(|entry, intact| entries.push((entry.kind, entry.payload.clone(), intact)));
            entries
        };
        let mut replica = Replica::new(config, log.clone());
        let mut recovery = replica.recovery();
        let mut intact = true;
        for (kind, payload, is_intact) in earlier {
            // What cannot be read is damage too.
            intact &= is_intact;
            intact &= recovery.entry(kind, &payload, intact).is_ok();
        }
        self.restamped |= recovery.finish().restamped > 0;
        // Before the first link, so that no peer knows of an epoch that the node itself may forget.
        log.end_sync(log.begin_sync());
        let replica = Arc::new(replica);
        let decider = Decider::new(number, self.shape.refused_percent);
        let ingest = Ingest::new(Arc::clone(&replica), decider);
        let (seen, waiting) = (Seen::default(), Vec::new());
        Node { name, log, replica, ingest, seen, waiting, syncing: None, snapshot: None }
    }

    fn step(&mut self) -> Result<(), Violation> {
        let step = self.chance.weighted(&self.weights);
        let number = self.chance.index(self.nodes.len());
        let pair = self.chance.pick(&self.pairs);
        let (a, b) = if self.chance.percent(50) { pair } else { (pair.1, pair.0) };
        match step {
            Step::Client => self.client(number),
            Step::Forget => self.forget(number),
            Step::Time => self.pass_time(number)?,
            Step::Flush => drop(self.nodes[number].replica.flush()),
            Step::Deliver => self.deliver(a, b)?,
            Step::Turn => self.turn(a, b),
            Step::Sync => self.sync(number),
            Step::Answer => self.answer(number),
            Step::Connect => self.connect(a, b),
            Step::Cut => self.cut(a, b),
            Step::Sweep => self.nodes[number].replica.sweep(),
            Step::Snapshot => self.snapshot(number),
            Step::Swap => self.swap(number),
            Step::Crash => self.crash(number)?,
        }
        self.check()
    }

    fn check(&mut self) -> Result<(), Violation> {
        for node in &mut self.nodes {
            self.history.check_coverage(&node.name, &node.replica, &mut node.seen)?;
        }
        self.history.check_answers(&self.mode(), self.nodes.iter().map(|node| &*node.replica))
    }

    fn mode(&self) -> String {
        format!("survives {:?}, {} acks", self.shape.survives, self.shape.acks)
    }

    /// Lets a client report, with a rank that may collide with another one or go back.
    fn client(&mut self, number: usize) {
        self.rank += 1;
        let rank = (self.rank - self.chance.below(4).min(self.rank)).to_be_bytes();
        let key = format!("client{}", self.chance.below(self.shape.keys)).into_bytes();
        let mut record = self.chance.draw().to_be_bytes().to_vec();
        let expires_at =
            if self.chance.percent(self.shape.expiring_percent) { self.now_s + self.chance.below(8) } else { 0 };
        record.extend(expires_at.to_be_bytes());
        record.resize(self.shape.record_bytes, b'.');
        let told = self.chance.percent(10).then(|| self.told(number));
        let only = told.as_deref();
        let new = NewRecord { key: &key, rank: &rank, form: 1, record: &record, expires_at, only };
        let worker = self.chance.index(self.shape.workers);
        let node = &mut self.nodes[number];
        let keeping = node.replica.keep(worker, new);
        let present = node.replica.table().highest(&key, |highest, _| highest.reign);
        let reign = present.unwrap_or_default();
        let held = Held { key, rank: OwnedRank::of(Rank { reign, rank: &rank, record: &record, form: 1 }) };
        self.note(number, held, keeping);
    }

    fn note(&mut self, number: usize, held: Held, keeping: Keeping) {
        let node = &mut self.nodes[number];
        let Ticket { lane, seq, .. } = keeping.ticket;
        if let Kept::Applied(_) = keeping.kept {
            let stamp = Stamp { lane: LaneId(lane), seq };
            self.history.keep(&node.replica, &mut node.seen, stamp, held.clone());
        }
        node.waiting.push((held, keeping.ticket));
    }

    /// Lets an operator forget a client.
    fn forget(&mut self, number: usize) {
        let key = format!("client{}", self.chance.below(self.shape.keys)).into_bytes();
        let Node { replica, .. } = &self.nodes[number];
        let keeping = replica.forget(&key, NEVER);
        let Some(rank) = replica.table().highest(&key, |rank, _| OwnedRank::of(rank)) else { return };
        let held = Held { key, rank };
        self.note(number, held, keeping);
    }

    /// Lets time pass, and checks that a guest is shown nothing that has expired.
    fn pass_time(&mut self, number: usize) -> Result<(), Violation> {
        self.now_s += 1;
        let key = format!("client{}", self.chance.below(self.shape.keys)).into_bytes();
        let Node { name, replica, .. } = &self.nodes[number];
        replica.table().set_now(self.now_s);
        let found = replica.table().find(&[&key]).pop().flatten();
        let expires_at = found.and_then(|found| Some(u64::from_be_bytes(*found.bytes.get(8..)?.first_chunk()?)));
        match expires_at {
            Some(at) if at != 0 && at <= self.now_s => Err(Violation::ShowsExpired { node: name.clone() }),
            _ => Ok(()),
        }
    }

    fn told(&mut self, number: usize) -> Vec<u8> {
        let peers = self.peers(number);
        let chosen = peers.filter(|_| self.chance.percent(50));
        chosen.flat_map(|peer| format!("{}\n", NAMES[peer]).into_bytes()).collect()
    }

    fn peers(&self, number: usize) -> impl Iterator<Item = usize> + use<> {
        let of = move |(a, b): (usize, usize)| if a == number { Some(b) } else { (b == number).then_some(a) };
        self.pairs.clone().into_iter().filter_map(of)
    }

    fn connect(&mut self, a: usize, b: usize) {
        self.cut(a, b);
        for (from, to) in [(a, b), (b, a)] {
            let replica = &self.nodes[from].replica;
            let port = LinkPort::new(NAMES[to], 1 << 20, self.shape.workers, Asleep);
            replica.add_link(&port);
            let mut machine = LinkMachine::new(Arc::clone(replica), port);
            let greeting = machine.greet();
            let mut link = Link { machine, flight: VecDeque::new() };
            link.send(greeting.frames);
            self.links.insert((from, to), link);
        }
    }

    fn cut(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            if let Some(link) = self.links.remove(&(from, to)) {
                self.nodes[from].replica.remove_link(link.machine.port());
            }
        }
    }

    fn turn(&mut self, a: usize, b: usize) {
        if let Some(link) = self.links.get_mut(&(a, b)) {
            let turn = link.machine.turn();
            link.send(turn.frames);
        }
    }

    fn deliver(&mut self, a: usize, b: usize) -> Result<(), Violation> {
        let Some((kind, body)) = self.links.get_mut(&(a, b)).and_then(|link| link.flight.pop_front()) else {
            return Ok(());
        };
        let worker = self.chance.index(self.shape.workers);
        let (node, link) = (&self.nodes[b], self.links.get_mut(&(b, a)).expect("links come and go in pairs"));
        let heard = hear(&node.ingest, &mut link.machine, worker, kind, body);
        let refused = |why| Violation::Refused { node: NAMES[b].into(), peer: NAMES[a].into(), why };
        heard.map_err(refused)
    }

    /// Begins a sync, or ends the one that was begun.
    fn sync(&mut self, number: usize) {
        let Node { log, replica, syncing, .. } = &mut self.nodes[number];
        match syncing.take() {
            None => {
                let vector = replica.vector();
                *syncing = Some((vector, log.begin_sync()));
            }
            Some((vector, reached)) => {
                log.end_sync(reached);
                replica.checkpoint(&vector, replica.incarnation());
            }
        }
    }

    fn answer(&mut self, number: usize) {
        let Node { replica, waiting, .. } = &mut self.nodes[number];
        let history = &mut self.history;
        waiting.retain(|(held, ticket)| {
            let confirmed = replica.confirmation(*ticket) == Confirmation::Confirmed;
            if confirmed {
                history.answer(held);
            }
            !confirmed
        });
    }

    /// Begins a snapshot, or goes on with the one that was begun.
    fn snapshot(&mut self, number: usize) {
        let parts = self.chance.between(1, 300);
        let Node { log, replica, snapshot, .. } = &mut self.nodes[number];
        let Some(under_way) = snapshot else {
            let begun = replica.snapshot();
            *snapshot = Some(SnapshotUnderWay { snapshot: begun, segment: log.begin_segment(), entries: Vec::new() });
            return;
        };
        for _ in 0..parts {
            let entries = &mut under_way.entries;
            if !under_way.snapshot.next(|kind, payload| entries.push((kind, payload.to_vec()))) {
                let SnapshotUnderWay { segment, entries, .. } = snapshot.take().expect("it is under way");
                log.replace(segment, entries);
                return;
            }
        }
    }

    fn swap(&mut self, number: usize) {
        let worker = self.chance.index(self.shape.workers);
        let ingest = &self.nodes[number].ingest;
        ingest.host().swap();
        ingest.offer_quarantined(worker);
    }

    fn crash(&mut self, number: usize) -> Result<(), Violation> {
        let all = self.shape.survives != Survives::Nothing && self.chance.percent(50);
        if self.shape.survives == Survives::Nothing && std::mem::replace(&mut self.crashed, true) {
            return Ok(());
        }
        let crashed = if all { 0..self.nodes.len() } else { number..number + 1 };
        for number in crashed {
            for peer in self.peers(number) {
                self.cut(number, peer);
            }
            let log = self.nodes[number].log.clone();
            log.crash(&mut self.chance);
            // What is lost here has to be elsewhere.
            if !all && self.shape.acks > 0 && self.chance.percent(50) {
                log.damage(&mut self.chance);
            }
            let node = self.start(number, log);
            self.nodes[number] = node;
            self.note_restamped(number);
        }
        Ok(())
    }

    /// Notes the keeps that a recovery behind damage has made.
    fn note_restamped(&mut self, number: usize) {
        let Node { replica, seen, .. } = &mut self.nodes[number];
        let own = replica.own_marks();
        let mut restamped = Vec::new();
        for shard in 0..replica.table().shards() {
            replica.table().visit(shard, |report, _| {
                if own.get(report.head.stamp.lane).is_some() {
                    let held = Held { key: report.key.to_vec(), rank: OwnedRank::of(report.ranked()) };
                    restamped.push((report.head.stamp, held));
                }
            });
        }
        for (stamp, held) in restamped {
            self.history.keep(replica, seen, stamp, held);
        }
    }

    /// Heals all links and lets the herd come to rest.
    fn settle(&mut self) -> Result<(), Violation> {
        for (a, b) in self.pairs.clone() {
            self.connect(a, b);
        }
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            let mut busy = None;
            for (a, b) in self.links.keys().copied().collect::<Vec<_>>() {
                self.turn(a, b);
                while let Some((kind, _)) = self.links[&(a, b)].flight.front() {
                    if *kind != HAVE {
                        busy = Some(format!("frame of kind {kind} from {} to {}", NAMES[a], NAMES[b]));
                    }
                    self.deliver(a, b)?;
                }
            }
            for node in &mut self.nodes {
                node.replica.flush();
                node.replica.sweep();
            }
            self.check()?;
            match busy {
                None if quiet == QUIET_ROUNDS => return self.check_quiet(),
                None => quiet += 1,
                Some(what) if quiet == 0 => drop(what),
                Some(_) => quiet = 0,
            }
        }
        Err(Violation::NeverQuiet { what: format!("{ROUNDS_MAX} rounds") })
    }

    fn check_quiet(&self) -> Result<(), Violation> {
        let nodes = || self.nodes.iter().map(|node| (node.name.as_str(), &*node.replica));
        check_equal(nodes(), if self.restamped { Compared::NewestEpochs } else { Compared::All })?;
        nodes().try_for_each(|(name, node)| self.history.check_everywhere(name, node))
    }
}

impl Link {
    fn send(&mut self, frames: Vec<LinkFrame>) {
        // Encoded, as they travel: what a peer hears depends on bytes alone.
        self.flight.extend(frames.iter().map(|frame| (frame.kind(), frame.body())));
    }
}

/// Takes a frame as the task of a link does.
fn hear(
    ingest: &Ingest<Decider>,
    machine: &mut LinkMachine,
    worker: usize,
    kind: u8,
    body: Bytes,
) -> Result<(), String> {
    let frame = LinkFrame::decode(kind, body).map_err(|error| error.to_string())?;
    if let LinkFrame::Reports(frame) = &frame {
        let reports = machine.reports(frame).map_err(|error| error.to_string())?;
        return ingest.take(worker, machine.port(), &reports).map_err(|error| error.to_string());
    }
    machine.hear(frame).map_err(|error| error.to_string())
}

const NAMES: [&str; 5] = ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard"];
/// Later than any time of a run.
const NEVER: u64 = 1 << 40;
/// Rounds of turns that a healed herd may take to come to rest.
const ROUNDS_MAX: usize = 3000;
const QUIET_ROUNDS: usize = 4;
/// Kind of an acknowledgement, which is no sign of work.
const HAVE: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::run_seeds;

    #[test]
    fn schedule_holds_on_every_seed() {
        let seeds = run_seeds(0, 600, run_schedule, |_| ());
        assert_eq!((seeds.run, seeds.failed), (600, None));
    }

    /// Each of these was broken once: by a readable record below a quarantined one that kept an old epoch in use at one node, by claims
    /// over an epoch that came into use after them, and by two equal tombstones.
    #[test]
    fn schedule_holds_on_seeds_that_were_broken() {
        for seed in [1, 63, 254, 3336] {
            assert_eq!(run_schedule(seed), Ok(()), "seed {seed}");
        }
    }
}
