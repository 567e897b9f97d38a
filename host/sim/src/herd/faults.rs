//! Faults of a herd: what goes wrong, how often, and how it heals.

use herd_model::Kept;
use herd_replication::{LaneId, Stamp};
use herd_store::Durability;

use super::{Event, Herd, MILLISECOND, Node, SECOND};
use crate::chance::Chance;
use crate::guests::Guests;
use crate::history::{Held, OwnedRank};
use crate::options::Faults;
use crate::process::{HerdSettings, Process, TOMBSTONES_KEPT};
use crate::scenario::Action;
use crate::violation::Violation;

/// Kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A connection is lost.
    Cut,
    /// Some nodes do not reach the others, in both directions or in one.
    Partition,
    /// A process ends; the operating system has what it wrote.
    Kill,
    /// One node or all lose power; what was not synced is lost, or torn.
    PowerLoss,
    /// A process is stopped for a while.
    Pause,
    /// A clock steps, forth or back.
    ClockStep,
    /// A disk is full for a while.
    DiskFull,
    /// A disk fails for a while.
    DiskError,
    /// A disk is slow for a while.
    DiskSlow,
    /// A link is slow for a while.
    LinkSlow,
    /// An operator swaps the herd or one node, or rolls it back, or a guest faults.
    Swap,
    /// An operator lets a guest decide for a share of the sessions of a node, or no longer.
    Canary,
    /// An operator forgets a client.
    Forget,
    /// A process is replaced by one of the later or of the earlier version.
    Version,
    /// A record changes behind a node's back.
    Damage,
    /// A node is off for longer than forgotten clients are remembered.
    Absence,
}

/// End of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Healing {
    Directions(Vec<(usize, usize)>),
    Start(usize),
    Wake(usize),
    Disk(usize),
    Link(usize, usize),
}

/// Returns the weights of a seed. Some faults cannot keep the promise of a durability, and do not happen then.
pub(super) fn weights(chance: &mut Chance, settings: HerdSettings) -> Vec<(Fault, u64)> {
    let HerdSettings { durability, versions, expire_after_s, .. } = settings;
    let mut some = |weight| chance.pick(&[0, weight, 3 * weight]);
    let mut weights = vec![
        (Fault::Cut, 1 + some(2)),
        (Fault::Partition, some(2)),
        (Fault::Kill, some(2)),
        (Fault::Pause, some(1)),
        (Fault::ClockStep, some(1)),
        (Fault::LinkSlow, some(1)),
        (Fault::Swap, some(2)),
        (Fault::Canary, some(2)),
        (Fault::Forget, some(1)),
        (Fault::Damage, some(1) / 3),
    ];
    if versions {
        weights.push((Fault::Version, 1 + some(2)));
    }
    if durability == Durability::Disk {
        weights.push((Fault::PowerLoss, some(3)));
    }
    if durability != Durability::Memory && expire_after_s == 0 {
        weights.push((Fault::Absence, 1 + some(3)));
    }
    if durability != Durability::Memory {
        weights.extend([(Fault::DiskFull, some(1)), (Fault::DiskError, some(1)), (Fault::DiskSlow, some(1))]);
    }
    weights
}

impl Herd<'_> {
    pub(super) fn on_fault(&mut self) -> Result<(), Violation> {
        if self.resting || self.faults == Faults::None {
            return Ok(());
        }
        let wait = self.fate.below(2 * self.fault_interval_ns);
        self.after(wait, Event::Fault);
        let action = self.next_fault();
        self.act(action)
    }

    /// Picks what goes wrong next.
    fn next_fault(&mut self) -> Action {
        let name = |node: usize| self.nodes[node].name.to_string();
        let fate = &mut self.fate;
        let index = fate.index(self.nodes.len());
        let (a, b) = fate.pick(&self.pairs);
        let (node, key) = (name(index), format!("client{}", fate.below(self.keys)));
        let ms = fate.pick(&[200, 1000, 5000, 30_000]);
        let until_start_ms = fate.pick(&[100, 2000, 20_000]);
        match fate.weighted(&self.weights) {
            Fault::Cut => Action::Cut { node: name(a), peer: name(b) },
            Fault::Partition => {
                let one_way = fate.percent(30);
                let part: Vec<bool> = self.nodes.iter().map(|_| fate.percent(50)).collect();
                let mut directions = Vec::new();
                for &(a, b) in self.pairs.iter().filter(|(a, b)| part[*a] != part[*b]) {
                    let (from, to) = if part[a] { (a, b) } else { (b, a) };
                    directions.push(format!("{}>{}", name(from), name(to)));
                    if !one_way {
                        directions.push(format!("{}>{}", name(to), name(from)));
                    }
                }
                Action::Partition { directions, ms }
            }
            Fault::Kill => Action::Kill { node, ms: until_start_ms },
            Fault::PowerLoss if fate.percent(50) => {
                Action::PowerLoss { nodes: (0..self.nodes.len()).map(name).collect(), ms: until_start_ms }
            }
            Fault::PowerLoss => Action::PowerLoss { nodes: vec![node], ms: until_start_ms },
            Fault::Pause => Action::Stop { node, ms },
            Fault::ClockStep => Action::Clock { node, ms: fate.below(20_000) as i64 - 10_000 },
            Fault::DiskFull => Action::DiskFull { node, bytes: fate.below(4096), ms },
            Fault::DiskError => {
                let (sync, after) = (fate.percent(50), fate.below(20));
                Action::DiskError { node, sync, after, times: fate.between(1, 5), ms }
            }
            Fault::DiskSlow => Action::DiskSlow { node, sync_ms: fate.between(50, 800), ms },
            Fault::LinkSlow => Action::LinkSlow { node: name(a), peer: name(b), delay_ms: fate.between(20, 400), ms },
            Fault::Swap => swap(fate, node),
            Fault::Canary => canary(fate, node),
            Fault::Forget => Action::Forget { node, key },
            Fault::Version => Action::Version { node, ms: until_start_ms },
            Fault::Damage => Action::Damage { node, key },
            Fault::Absence => Action::Absence { node, key, ms: until_start_ms },
        }
    }

    pub(super) fn on_heal(&mut self, healing: Healing) -> Result<(), Violation> {
        match healing {
            Healing::Directions(directions) => directions.into_iter().for_each(|(from, to)| self.unblock(from, to)),
            Healing::Start(node) => self.start(node)?,
            Healing::Wake(node) if self.nodes[node].paused_until > self.now => {}
            Healing::Wake(node) => self.wake(node),
            Healing::Disk(node) => {
                let Node { files, swap_files, sync_ns, .. } = &mut self.nodes[node];
                files.heal();
                swap_files.heal();
                *sync_ns = 4 * MILLISECOND;
            }
            Healing::Link(a, b) => {
                self.latency_ns.remove(&(a, b));
                self.latency_ns.remove(&(b, a));
            }
        }
        Ok(())
    }

    /// Lets a stopped process go on, with everything that waited for it.
    pub(super) fn wake(&mut self, node: usize) {
        self.nodes[node].paused_until = 0;
        for event in std::mem::take(&mut self.nodes[node].deferred) {
            self.after(0, event);
        }
    }

    /// Holds back what is sent in these directions, each from one node to another, for so long.
    pub(super) fn block(&mut self, mut directions: Vec<(usize, usize)>, wait_ns: u64) {
        // What is cut already heals at its own time.
        directions.retain(|direction| self.blocked.insert(*direction));
        self.after(wait_ns, Event::Heal(Healing::Directions(directions)));
    }

    pub(super) fn unblock(&mut self, from: usize, to: usize) {
        self.blocked.remove(&(from, to));
        if let Some(end) = self.ends.get_mut(&(from, to)) {
            let (connection, stalled) = (end.connection, std::mem::take(&mut end.stalled));
            self.schedule_frames(from, to, connection, stalled as usize);
        }
    }

    pub(super) fn crash(&mut self, number: usize, loss: Loss, wait_ns: u64) {
        let one_only = self.settings.durability == herd_store::Durability::Memory;
        if self.nodes[number].process.is_none() || (one_only && std::mem::replace(&mut self.crashed, true)) {
            return;
        }
        self.report.crashes += 1;
        let peers: Vec<usize> = self.ends.range((number, 0)..(number + 1, 0)).map(|((_, to), _)| *to).collect();
        for peer in peers {
            match loss {
                Loss::Process => self.hang_up(number, peer),
                // Nobody says goodbye: the peer finds out by silence.
                Loss::Power => self.close(number, peer),
            }
        }
        for client in &mut self.clients {
            if client.session.as_ref().is_some_and(|session| session.node == number) {
                client.session = None;
            }
        }
        self.wake(number);
        let node = &mut self.nodes[number];
        // What it decided is part of the run too.
        if let Some(Process { deciders, .. }) = node.process.take() {
            self.report.trace = self.report.trace.rotate_left(9) ^ deciders.trace();
        }
        match loss {
            Loss::Process => {
                node.files.kill();
                node.swap_files.kill();
            }
            Loss::Power => {
                self.disks_are_whole = false;
                node.files.crash(&mut |bound| self.chance.below(bound));
                node.swap_files.crash(&mut |bound| self.chance.below(bound));
            }
        }
        self.after(wait_ns, Event::Heal(Healing::Start(number)));
    }

    pub(super) fn forget(&mut self, node: usize, key: &str) -> Result<(), Violation> {
        let key = key.as_bytes().to_vec();
        let expires_at = self.epoch_ns() / SECOND + TOMBSTONES_KEPT.as_secs();
        if let Some(Process { replica, seen, .. }) = &mut self.nodes[node].process {
            let keeping = replica.forget(&key, expires_at);
            if let (Kept::Applied(_), Some(rank)) =
                (keeping.kept, replica.table().highest(&key, |rank, _| OwnedRank::of(rank)))
            {
                let stamp = Stamp { lane: LaneId(keeping.ticket.lane), seq: keeping.ticket.seq };
                let tombstone = Held { key, rank };
                self.history.forget(&tombstone);
                self.history.keep(replica, seen, stamp, tombstone);
                replica.flush();
            }
        }
        self.touched(node)
    }
}

/// Picks what an operator does.
fn swap(fate: &mut Chance, node: String) -> Action {
    let guest = fate.index(Guests::COUNT);
    let mut option = || fate.percent(25);
    let (again, unrehearsed, force) = (option(), option(), option());
    match fate.below(10) {
        0..=4 => Action::Swap { node, guest, alone: false, again, unrehearsed, force },
        5 => Action::RollBack { node, alone: false },
        6 | 7 => Action::Swap { node, guest, alone: true, again, unrehearsed, force },
        8 => Action::RollBack { node, alone: true },
        _ if fate.percent(50) => Action::GuestFaults { node },
        _ => Action::Withdraw { node },
    }
}

/// Picks what an operator does about the canary of a node. The guest is that of the canary as often as another.
fn canary(fate: &mut Chance, node: String) -> Action {
    match fate.below(8) {
        0 => Action::EndCanary { node },
        1 | 2 => Action::PromoteCanary { node },
        _ => {
            let guest = if fate.percent(50) { 1 } else { fate.index(Guests::COUNT) };
            Action::Canary { node, guest, share: fate.pick(&[5, 25, 50, 100]) }
        }
    }
}

/// Loss in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Process,
    Power,
}
