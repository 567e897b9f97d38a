//! Faults of a herd: what goes wrong, how often, and how it heals.

use herd_model::Kept;
use herd_replication::{LaneId, Stamp};
use herd_store::{DiskOperation, Durability};

use super::{EPOCH_NS, Event, Herd, MILLISECOND, Node, SECOND};
use crate::chance::Chance;
use crate::history::{Held, OwnedRank};
use crate::options::Faults;
use crate::process::{HerdSettings, Process};
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
    /// An operator forgets a client.
    Forget,
    /// A process is replaced by one of the later or of the earlier version.
    Version,
    /// A record changes behind a node's back.
    Damage,
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
    let HerdSettings { durability, versions, .. } = settings;
    let mut some = |weight| chance.pick(&[0, weight, 3 * weight]);
    let mut weights = vec![
        (Fault::Cut, 1 + some(2)),
        (Fault::Partition, some(2)),
        (Fault::Kill, some(2)),
        (Fault::Pause, some(1)),
        (Fault::ClockStep, some(1)),
        (Fault::LinkSlow, some(1)),
        (Fault::Swap, some(2)),
        (Fault::Forget, some(1)),
        (Fault::Damage, some(1) / 3),
    ];
    if versions {
        weights.push((Fault::Version, 1 + some(2)));
    }
    if durability == Durability::Disk {
        weights.push((Fault::PowerLoss, some(3)));
    }
    if durability != Durability::Memory {
        weights.extend([(Fault::DiskFull, some(1)), (Fault::DiskError, some(1)), (Fault::DiskSlow, some(1))]);
    }
    weights
}

impl Herd {
    pub(super) fn on_fault(&mut self) -> Result<(), Violation> {
        if self.resting || self.faults == Faults::None {
            return Ok(());
        }
        let wait = self.chance.below(2 * self.fault_interval_ns);
        self.after(wait, Event::Fault);
        let node = self.chance.index(self.nodes.len());
        let (a, b) = self.chance.pick(&self.pairs);
        let lasts = self.chance.pick(&[200 * MILLISECOND, SECOND, 5 * SECOND, 30 * SECOND]);
        match self.chance.weighted(&self.weights) {
            Fault::Cut => self.hang_up(a, b),
            Fault::Partition => self.partition(lasts),
            Fault::Kill => self.crash(node, Loss::Process),
            Fault::PowerLoss => {
                let all = self.chance.percent(50);
                let lost = if all { 0..self.nodes.len() } else { node..node + 1 };
                lost.for_each(|node| self.crash(node, Loss::Power));
            }
            Fault::Pause => {
                self.nodes[node].paused_until = self.now + lasts;
                self.after(lasts, Event::Heal(Healing::Wake(node)));
            }
            Fault::ClockStep => {
                let step = self.chance.below(20 * SECOND) as i64 - 10 * SECOND as i64;
                // No node is before the start of the run, or more than an hour away.
                self.nodes[node].clock_offset_ns = (self.nodes[node].clock_offset_ns + step).clamp(-HOUR_NS, HOUR_NS);
            }
            Fault::DiskFull => {
                let space = self.chance.below(4096);
                self.disks_are_whole = false;
                self.nodes[node].files.set_space(Some(space));
                self.nodes[node].swap_files.set_space(Some(space / 4));
                self.report.disk_faults += 1;
                self.after(lasts, Event::Heal(Healing::Disk(node)));
            }
            Fault::DiskError => {
                let operation = self.chance.pick(&[DiskOperation::Write, DiskOperation::Sync]);
                let (after, times) = (self.chance.below(20), self.chance.between(1, 5));
                self.disks_are_whole = false;
                self.nodes[node].files.fail(operation, after, times);
                self.nodes[node].swap_files.fail(operation, after / 4, times);
                self.report.disk_faults += 1;
                self.after(lasts, Event::Heal(Healing::Disk(node)));
            }
            Fault::DiskSlow => {
                self.nodes[node].sync_ns = self.chance.between(50 * MILLISECOND, 800 * MILLISECOND);
                self.after(lasts, Event::Heal(Healing::Disk(node)));
            }
            Fault::LinkSlow => {
                let latency = self.chance.between(20 * MILLISECOND, 400 * MILLISECOND);
                self.latency_ns.insert((a, b), latency);
                self.latency_ns.insert((b, a), latency);
                self.after(lasts, Event::Heal(Healing::Link(a, b)));
            }
            Fault::Swap => self.operate(node)?,
            Fault::Forget => self.forget(node)?,
            Fault::Version => {
                self.nodes[node].later ^= true;
                self.report.versions += 1;
                self.crash(node, Loss::Process);
            }
            Fault::Damage => self.change_record(node),
        }
        Ok(())
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

    /// Cuts a part of the nodes off, or one direction, for a while.
    fn partition(&mut self, lasts: u64) {
        let one_way = self.chance.percent(30);
        let part: Vec<bool> = self.nodes.iter().map(|_| self.chance.percent(50)).collect();
        let mut directions = Vec::new();
        for &(a, b) in &self.pairs {
            if part[a] != part[b] {
                let out = if part[a] { (a, b) } else { (b, a) };
                directions.push(out);
                if !one_way {
                    directions.push((out.1, out.0));
                }
            }
        }
        // What is cut already heals at its own time.
        directions.retain(|direction| self.blocked.insert(*direction));
        self.after(lasts, Event::Heal(Healing::Directions(directions)));
    }

    pub(super) fn unblock(&mut self, from: usize, to: usize) {
        self.blocked.remove(&(from, to));
        if let Some(end) = self.ends.get_mut(&(from, to)) {
            let (connection, stalled) = (end.connection, std::mem::take(&mut end.stalled));
            self.schedule_frames(from, to, connection, stalled as usize);
        }
    }

    fn crash(&mut self, number: usize, loss: Loss) {
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
        node.process = None;
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
        let wait = self.chance.pick(&[100 * MILLISECOND, 2 * SECOND, 20 * SECOND]);
        self.after(wait, Event::Heal(Healing::Start(number)));
    }

    fn forget(&mut self, node: usize) -> Result<(), Violation> {
        let key = format!("client{}", self.chance.below(self.keys)).into_bytes();
        let expires_at = (EPOCH_NS / SECOND) + 30 * 86_400;
        if let Some(Process { replica, seen, .. }) = &mut self.nodes[node].process {
            let keeping = replica.forget(&key, expires_at);
            if let (Kept::Applied(_), Some(rank)) =
                (keeping.kept, replica.table().highest(&key, |rank, _| OwnedRank::of(rank)))
            {
                let stamp = Stamp { lane: LaneId(keeping.ticket.lane), seq: keeping.ticket.seq };
                self.history.keep(replica, seen, stamp, Held { key, rank });
                replica.flush();
            }
        }
        self.touched(node)
    }
}

/// Loss in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Process,
    Power,
}

const HOUR_NS: i64 = 3_600_000_000_000;
