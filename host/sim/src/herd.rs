//! Herd: nodes, links, disks, clocks and clients on virtual time, in one thread.
//!
//! Owns the order of events. Each event is what one task of a real node would do at its wake-up; after it, the invariants of the nodes
//! that it touched are checked. Bounds: nodes, clients and time of a run.

mod absence;
mod actions;
mod answers;
mod event;
mod faults;
#[cfg(test)]
mod guest_tests;
mod link_graph;
mod links;
mod proofs;
mod rest;
mod sessions;
mod swaps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_replication::Epoch;
use herd_rollout::{HerdSwap, NotSwapped, Outcome};
use herd_store::{Durability, SimFiles};

use self::event::Event;
use self::link_graph::pairs;
use crate::chance::Chance;
use crate::client::Client;
use crate::event_queue::EventQueue;
use crate::guests::Guests;
use crate::history::{Held, History};
use crate::link_end::LinkEnd;
use crate::options::{Faults, NAMES, Report, SimOptions};
use crate::process::{HerdSettings, Process, Start};
use crate::scenario::TimedAction;
use crate::simulation::{Protocol, Simulation};
use crate::told::Told;
use crate::violation::Violation;

pub(crate) struct Herd<'a> {
    simulation: Simulation<'a>,
    chance: Chance,
    /// Chance of clients, networks, disks and operators, apart from all other: a scenario can take its place.
    fate: Chance,
    /// Actions that were picked by it.
    pub(crate) events: Vec<TimedAction>,
    settings: HerdSettings,
    faults: Faults,
    weights: Vec<(faults::Fault, u64)>,
    /// Mean time between faults.
    fault_interval_ns: u64,
    /// Number of clients of the run.
    keys: u64,
    /// Number of clients, the first ones, that still send reports.
    reporting: u64,
    now: u64,
    /// Number of months that passed, each in no time.
    months: u64,
    base: Instant,
    queue: EventQueue<Event>,
    nodes: Vec<Node>,
    pairs: Vec<(usize, usize)>,
    ends: BTreeMap<(usize, usize), LinkEnd>,
    /// Directions in which nothing travels.
    blocked: BTreeSet<(usize, usize)>,
    latency_ns: BTreeMap<(usize, usize), u64>,
    connections: u64,
    clients: Vec<Client>,
    sessions: u64,
    pub(crate) history: History,
    /// Reports that a session has decided and not answered, by record.
    undecided: BTreeMap<Vec<u8>, Held>,
    crashed: bool,
    restamped: bool,
    resting: bool,
    /// Records are damaged once all is quiet.
    damages_at_rest: bool,
    /// A link that mended records.
    repaired: Option<(usize, usize)>,
    /// No disk has failed or lost power.
    disks_are_whole: bool,
    guests: Arc<Guests>,
    proposals: u64,
    /// Highest swap of which an operator was told.
    swapped: Option<HerdSwap>,
    last_answer: Option<Result<Outcome, NotSwapped>>,
    /// Reports that clients sent and were told are kept, for guests of the line protocol that are checked.
    told: Option<Told>,
    /// First reply that does not belong to its line, or first fetch loop.
    broken: Option<Violation>,
    report: Report,
}

struct Node {
    name: &'static str,
    files: SimFiles,
    /// Files about swaps, on the same disk.
    swap_files: SimFiles,
    /// The process is of a later version.
    later: bool,
    process: Option<Process>,
    /// Number of the process: events for an earlier one are void.
    life: u64,
    clock_offset_ns: i64,
    /// Time of the last start, which the state directory keeps.
    started_ms: u64,
    paused_until: u64,
    /// Events of a stopped process.
    deferred: Vec<Event>,
    sync_ns: u64,
    swept_at: u64,
    /// Time of the last look after contacts and boundaries.
    housekeeping_at: u64,
}

impl<'a> Herd<'a> {
    /// Starts the herd of a simulation.
    ///
    /// # Errors
    ///
    /// A guest does not start.
    pub(crate) fn new(simulation: Simulation<'a>) -> Result<Self, Violation> {
        let SimOptions { seed, nodes: count, duration: _, graph, faults } = simulation.options;
        let mut chance = Chance::new(seed);
        let count = count.clamp(2, NAMES.len());
        let pairs = pairs(graph, count, &mut chance);
        let (durability, acks) = chance.pick(&[
            (Durability::Memory, 1),
            (Durability::Os, 0),
            (Durability::Os, 1),
            (Durability::Disk, 0),
            (Durability::Disk, 1),
        ]);
        let settings = HerdSettings {
            durability,
            acks,
            workers: chance.pick(&[1, 2, 4]),
            refused_percent: chance.pick(&[0, 0, 5]),
            expire_after_s: chance.pick(&[0, 0, 60]),
            log_bytes_max: chance.pick(&[16 << 10, 64 << 10, 1 << 20]),
            versions: chance.percent(30),
        };
        let weights = faults::weights(&mut chance, settings);
        let fault_interval_ns = chance.pick(&[SECOND, 4 * SECOND, 15 * SECOND]);
        let keys = chance.pick(&[3, 12, 60]);
        let mut herd = Self {
            simulation,
            settings,
            faults,
            weights,
            fault_interval_ns,
            keys,
            reporting: keys,
            now: 0,
            months: 0,
            base: Instant::now(),
            queue: EventQueue::new(),
            nodes: Vec::new(),
            pairs,
            ends: BTreeMap::new(),
            blocked: BTreeSet::new(),
            latency_ns: BTreeMap::new(),
            connections: 0,
            clients: Vec::new(),
            sessions: 0,
            history: History::default(),
            undecided: BTreeMap::new(),
            crashed: false,
            restamped: false,
            resting: false,
            damages_at_rest: false,
            repaired: None,
            disks_are_whole: true,
            guests: Arc::new(Guests::new()),
            proposals: 0,
            swapped: None,
            last_answer: None,
            told: simulation
                .deciding
                .checked_percent
                .filter(|_| simulation.protocol == Protocol::Line)
                .map(|_| Told::default()),
            broken: None,
            report: Report::default(),
            fate: Chance::new(chance.draw()),
            events: Vec::new(),
            chance,
        };
        if simulation.spreads {
            herd.history.note_spread(NAMES[..count].iter().map(ToString::to_string).collect());
        }
        for name in &NAMES[..count] {
            let clock_offset_ns = herd.chance.below(10 * SECOND) as i64 - 5 * SECOND as i64;
            herd.nodes.push(Node {
                name,
                files: SimFiles::new(),
                swap_files: SimFiles::new(),
                later: settings.versions && herd.chance.percent(50),
                process: None,
                life: 0,
                clock_offset_ns,
                started_ms: 0,
                paused_until: 0,
                deferred: Vec::new(),
                sync_ns: herd.chance.between(MILLISECOND, 8 * MILLISECOND),
                swept_at: 0,
                housekeeping_at: 0,
            });
        }
        for node in 0..count {
            herd.start(node)?;
        }
        for pair in 0..herd.pairs.len() {
            herd.queue.push(0, Event::Dial(pair));
        }
        let visitors = simulation.check.map_or(0, |check| check.during.len());
        for _ in 0..CLIENTS + visitors {
            let new = Client::new(&mut herd.fate);
            herd.clients.push(new);
        }
        // Drawn with a scenario too, so that what follows is drawn alike.
        let damages_at_rest = herd.chance.percent(30);
        match simulation.scenario {
            Some(scenario) => {
                for (number, event) in scenario.events.iter().enumerate() {
                    herd.queue.push(event.at_ns(), Event::Scripted(number));
                }
            }
            None => {
                for client in 0..CLIENTS + visitors {
                    herd.after(client as u64 * 20 * MILLISECOND, Event::Client(client));
                }
                herd.after(SECOND, Event::Fault);
                herd.damages_at_rest = herd.faults == Faults::All && damages_at_rest;
            }
        }
        Ok(herd)
    }

    /// Runs to the end.
    ///
    /// # Errors
    ///
    /// See [`Violation`].
    pub(crate) fn run(&mut self) -> Result<Report, Violation> {
        self.run_until(self.simulation.options.duration.as_nanos() as u64)?;
        self.rest()
    }
}

impl Herd<'_> {
    fn after(&mut self, wait_ns: u64, event: Event) {
        self.queue.push(self.now + wait_ns, event);
    }

    fn run_until(&mut self, end: u64) -> Result<(), Violation> {
        while let Some((at, event)) = self.queue.pop() {
            if at > end {
                // It is taken up again if the run goes on.
                self.queue.push(at, event);
                self.now = end;
                return Ok(());
            }
            self.now = at;
            if let Some(node) = event.node().filter(|&node| self.nodes[node].paused_until > at) {
                // A stopped process does nothing, and all of it when it wakes.
                self.nodes[node].deferred.push(event);
                continue;
            }
            self.handle(event)?;
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), Violation> {
        let place = event.node().map_or(0, |node| node as u64 + 1);
        let what = self.now ^ (place << 56) ^ (event.kind() << 48);
        self.report.trace = (self.report.trace ^ what).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        self.history.set_now(self.now);
        match event {
            Event::Client(client) => self.on_client(client)?,
            Event::Scripted(number) => self.on_scripted(number)?,
            Event::Piece { client, session } => self.on_piece(client, session),
            Event::Decide { node, worker, life } => self.on_decide(node, worker, life)?,
            Event::Fetch { client, session, id, answers } => self.on_fetch(client, session, id, answers)?,
            Event::Turn { from, to, connection } => self.on_turn(from, to, connection),
            Event::Frame { from, to, connection } => self.on_frame(from, to, connection)?,
            Event::Close { at, peer, connection } => self.on_close(at, peer, connection),
            Event::Dial(pair) => self.on_dial(pair)?,
            Event::Tick { node, life } => self.on_tick(node, life)?,
            Event::Sync { node, life } => self.on_sync(node, life)?,
            Event::Snapshot { node, life } => self.on_snapshot(node, life),
            Event::Refresh { from, to, connection, cutoff_s } => self.on_refresh(from, to, connection, cutoff_s),
            Event::Job { node, life, job } => self.on_job(node, life, &job)?,
            Event::Fault => self.on_fault()?,
            Event::Heal(healing) => self.on_heal(healing)?,
            Event::Absence { node, step, looks } => self.on_absence(node, step, looks)?,
        }
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Checks a node after something happened to it, and lets its links know.
    fn touched(&mut self, node: usize) -> Result<(), Violation> {
        self.schedule_woken(node);
        let Node { name, process, .. } = &mut self.nodes[node];
        let Some(Process { replica, seen, deciders, .. }) = process else { return Ok(()) };
        if let Some(violation) = deciders.take_violation() {
            return Err(violation);
        }
        self.history.check_coverage(name, replica, seen)
    }

    fn wall_ns(&self, node: usize) -> u64 {
        (self.epoch_ns() + self.now).saturating_add_signed(self.nodes[node].clock_offset_ns)
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_nanos(self.now)
    }

    fn is_alive(&self, node: usize, life: u64) -> bool {
        self.nodes[node].process.is_some() && self.nodes[node].life == life
    }

    fn start(&mut self, number: usize) -> Result<(), Violation> {
        let (wall_ms, now) = (self.wall_ns(number) / MILLISECOND, self.instant());
        let nodes = self.nodes.iter().map(|node| node.name.to_string()).collect();
        let node = &mut self.nodes[number];
        if node.process.is_some() {
            return Ok(());
        }
        node.life += 1;
        // The state directory knows the last start, so that a clock which was set back does not matter.
        node.started_ms = wall_ms.max(node.started_ms + 1);
        let epoch = Epoch { started_ms: node.started_ms, random: self.chance.draw() };
        node.files = node.files.reopen();
        node.swap_files = node.swap_files.reopen();
        let Node { name, files, swap_files, later, .. } = &*node;
        let (guests, later, is_whole) = (&self.guests, *later, self.disks_are_whole);
        let deciding = self.simulation.deciding;
        let wall_s = wall_ms / 1000;
        let start =
            Start { name, number, nodes, files, swap_files, guests, deciding, later, is_whole, epoch, now, wall_s };
        let mut process = Process::start(start, self.settings, &mut self.chance)?;
        process.note_restamped(&mut self.history);
        self.restamped |= process.restamped;
        node.process = Some(process);
        let life = node.life;
        self.after(self.tick_ns(), Event::Tick { node: number, life });
        if self.settings.durability == Durability::Disk {
            self.after(MILLISECOND, Event::Sync { node: number, life });
        }
        if self.settings.durability != Durability::Memory {
            self.after(MILLISECOND, Event::Snapshot { node: number, life });
        }
        self.touched(number)?;
        self.check_answers()
    }

    fn check_answers(&self) -> Result<(), Violation> {
        // A node that is down may have what nobody else has.
        if self.nodes.iter().any(|node| node.process.is_none()) {
            return Ok(());
        }
        let HerdSettings { durability, acks, .. } = self.settings;
        let nodes = self.nodes.iter().filter_map(|node| node.process.as_ref()).map(|process| &*process.replica);
        self.history.check_answers(&format!("{durability:?}, {acks} acks"), nodes)
    }

    fn on_tick(&mut self, node: usize, life: u64) -> Result<(), Violation> {
        if !self.is_alive(node, life) {
            return Ok(());
        }
        let (wall_s, now, resting) = (self.wall_ns(node) / SECOND, self.now, self.resting);
        let Node { process: Some(process), swept_at, .. } = &mut self.nodes[node] else { return Ok(()) };
        process.replica.table().set_now(wall_s);
        process.replica.flush();
        if now - *swept_at > SWEEP_NS || resting {
            *swept_at = now;
            process.replica.sweep();
        }
        if now - self.nodes[node].housekeeping_at > HOUSEKEEPING_NS {
            self.nodes[node].housekeeping_at = now;
            self.housekeeping(node);
        }
        self.ping(node);
        self.check_repairs(node)?;
        self.tick_swaps(node)?;
        self.advance_sessions(node);
        self.after(self.tick_ns(), Event::Tick { node, life });
        self.touched(node)
    }

    fn tick_ns(&self) -> u64 {
        if self.resting { 100 * MILLISECOND } else { 500 * MILLISECOND }
    }

    /// Syncs the log of a node, which takes as long as its disk is slow.
    fn on_sync(&mut self, number: usize, life: u64) -> Result<(), Violation> {
        if !self.is_alive(number, life) {
            return Ok(());
        }
        let Node { process: Some(process), sync_ns, .. } = &self.nodes[number] else { return Ok(()) };
        let (wait, pending) = (*sync_ns, process.log.as_ref().is_some_and(|log| log.appended() > log.durable()));
        if pending {
            process.sync();
            self.advance_sessions(number);
            self.schedule_turns(number, MILLISECOND);
        }
        self.after(wait, Event::Sync { node: number, life });
        self.touched(number)
    }

    fn on_snapshot(&mut self, node: usize, life: u64) {
        if !self.is_alive(node, life) {
            return;
        }
        let steps = self.chance.between(1, 200);
        let Some(process) = &mut self.nodes[node].process else { return };
        self.report.snapshots += u64::from(process.step_snapshot(steps));
        let wait = if process.snapshot.is_some() { 2 * MILLISECOND } else { 300 * MILLISECOND };
        self.after(wait, Event::Snapshot { node, life });
    }
}

const CLIENTS: usize = 12;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
/// Unix time at which all runs begin.
pub const EPOCH: Duration = Duration::from_secs(1_795_504_736);
const EPOCH_NS: u64 = EPOCH.as_secs() * SECOND;
const SWEEP_NS: u64 = 10 * SECOND;
/// Shorter than the minute of a node, and longer than a link takes to come up.
const HOUSEKEEPING_NS: u64 = 8 * SECOND;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Graph;
    use crate::runner::run_seeds;

    fn run(options: SimOptions) -> Result<Report, Violation> {
        Simulation::new(options).run()
    }

    #[test]
    fn herd_holds_on_every_seed() {
        let seeds = run_seeds(0, 60, |seed| run(SimOptions::new(seed)).map(drop), |_| ());
        assert_eq!((seeds.run, seeds.failed), (60, None));
    }

    #[test]
    fn herd_of_a_seed_replays() {
        let options = SimOptions { duration: Duration::from_secs(30), ..SimOptions::new(4) };
        let first = run(options);
        assert_eq!(first, run(options));
        assert_ne!(first, run(SimOptions { seed: 5, ..options }));
    }

    /// Goal: invariants of swaps, canaries, proofs and versions are not kept for want of any. Method: a few seeds have some of each.
    #[test]
    fn herds_swap_prove_mend_and_change_versions() {
        let reports =
            (0..12).map(|seed| run(SimOptions { duration: Duration::from_secs(60), ..SimOptions::new(seed) }));
        let reports: Vec<Report> = reports.map(Result::unwrap).collect();
        let sum = |figure: fn(&Report) -> u64| reports.iter().map(figure).sum::<u64>();
        assert!(sum(|report| report.canaries) > 6, "{reports:?}");
        assert!(sum(|report| report.swaps) > 12 && sum(|report| report.proofs) > 100, "{reports:?}");
        assert!(sum(|report| report.damages) > 3 && sum(|report| report.repairs) > 3, "{reports:?}");
        assert!(sum(|report| report.versions) > 3, "{reports:?}");
        assert!(sum(|report| report.absences) > 3 && sum(|report| report.rejoins) > 3, "{reports:?}");
    }

    #[test]
    fn herd_without_faults_confirms_every_report() {
        for (seed, graph) in (0..).zip([Graph::Line, Graph::Ring, Graph::Full]) {
            let duration = Duration::from_secs(20);
            let report = run(SimOptions { graph, duration, faults: Faults::None, ..SimOptions::new(seed) }).unwrap();
            assert!(report.kept > 300 && report.answers > 30, "{report:?}");
            assert_eq!((report.unconfirmed, report.crashes, report.disk_faults), (0, 0, 0));
        }
    }
}
