//! Actions of clients, networks, disks and operators: picked by chance or taken from a scenario, noted, and performed.
//!
//! Knows nothing of why something happens. Bounds: one action an event.

use herd_model::SwapOptions;
use herd_store::DiskOperation;

use super::faults::{Healing, Loss};
use super::{Event, Herd, MILLISECOND};
use crate::scenario::{Action, FOR_MS_MAX, TimedAction};
use crate::violation::Violation;

impl Herd<'_> {
    /// Performs an event of the scenario, unless the herd is to come to rest by now.
    pub(super) fn on_scripted(&mut self, number: usize) -> Result<(), Violation> {
        if self.resting {
            return Ok(());
        }
        let event = self.simulation.scenario.and_then(|scenario| scenario.events.get(number));
        event.map_or(Ok(()), |event| self.perform(&event.action))
    }

    /// Notes an action and performs it.
    pub(super) fn act(&mut self, action: Action) -> Result<(), Violation> {
        self.events.push(TimedAction::new(self.now, action.clone()));
        self.perform(&action)
    }

    /// Performs an action. One with an unknown node does nothing; [`Scenario::check`](crate::Scenario::check) reports it.
    fn perform(&mut self, action: &Action) -> Result<(), Violation> {
        let find = |name: &str| self.nodes.iter().position(|node| node.name == name);
        match action {
            Action::Send { client, node, worker, text, cuts } => {
                if let Some(node) = find(node) {
                    self.send(*client, node, *worker, text, cuts);
                }
            }
            Action::Leave { client } => self.leave(*client),
            Action::Cut { node, peer } => {
                if let (Some(a), Some(b)) = (find(node), find(peer)) {
                    self.hang_up(a, b);
                }
            }
            Action::Partition { directions, ms } => {
                let direction = |text: &String| {
                    let (from, to) = text.split_once('>')?;
                    Some((find(from)?, find(to)?))
                };
                self.block(directions.iter().filter_map(direction).collect(), nanoseconds(*ms));
            }
            Action::PowerLoss { nodes, ms } => {
                self.report.power_losses_of_all += u64::from(nodes.len() == self.nodes.len());
                for node in nodes.iter().filter_map(|node| find(node)).collect::<Vec<_>>() {
                    self.crash(node, Loss::Power, nanoseconds(*ms));
                }
            }
            Action::LinkSlow { node, peer, delay_ms, ms } => {
                if let (Some(a), Some(b)) = (find(node), find(peer)) {
                    self.latency_ns.insert((a, b), nanoseconds(*delay_ms));
                    self.latency_ns.insert((b, a), nanoseconds(*delay_ms));
                    self.after(nanoseconds(*ms), Event::Heal(Healing::Link(a, b)));
                }
            }
            Action::Kill { node, .. }
            | Action::Stop { node, .. }
            | Action::Clock { node, .. }
            | Action::DiskFull { node, .. }
            | Action::DiskError { node, .. }
            | Action::DiskSlow { node, .. }
            | Action::Swap { node, .. }
            | Action::RollBack { node, .. }
            | Action::Withdraw { node }
            | Action::GuestFaults { node }
            | Action::Canary { node, .. }
            | Action::PromoteCanary { node }
            | Action::EndCanary { node }
            | Action::Forget { node, .. }
            | Action::Version { node, .. }
            | Action::Damage { node, .. }
            | Action::Absence { node, .. } => {
                if let Some(node) = find(node) {
                    return self.perform_at(node, action);
                }
            }
        }
        Ok(())
    }

    /// Performs an action that concerns one node.
    fn perform_at(&mut self, node: usize, action: &Action) -> Result<(), Violation> {
        match *action {
            Action::Kill { ms, .. } => self.crash(node, Loss::Process, nanoseconds(ms)),
            Action::Version { ms, .. } => {
                self.nodes[node].later ^= true;
                self.report.versions += 1;
                self.crash(node, Loss::Process, nanoseconds(ms));
            }
            Action::Stop { ms, .. } => {
                self.nodes[node].paused_until = self.now + nanoseconds(ms);
                self.after(nanoseconds(ms), Event::Heal(Healing::Wake(node)));
            }
            Action::Clock { ms, .. } => {
                let offset_ns = self.nodes[node].clock_offset_ns.saturating_add(ms.saturating_mul(MILLISECOND as i64));
                // No node is before the start of the run, or more than an hour away.
                self.nodes[node].clock_offset_ns = offset_ns.clamp(-HOUR_NS, HOUR_NS);
            }
            Action::DiskFull { bytes, ms, .. } => {
                self.nodes[node].files.set_space(Some(bytes));
                self.nodes[node].swap_files.set_space(Some(bytes / 4));
                self.fail_disk(node, ms);
            }
            Action::DiskError { sync, after, times, ms, .. } => {
                let operation = if sync { DiskOperation::Sync } else { DiskOperation::Write };
                self.nodes[node].files.fail(operation, after, times);
                self.nodes[node].swap_files.fail(operation, after / 4, times);
                self.fail_disk(node, ms);
            }
            Action::DiskSlow { sync_ms, ms, .. } => {
                self.nodes[node].sync_ns = nanoseconds(sync_ms.max(1));
                self.after(nanoseconds(ms), Event::Heal(Healing::Disk(node)));
            }
            Action::Swap { guest, alone, again, unrehearsed, force, .. } => {
                let options = SwapOptions { again, unrehearsed, reversible: false, force };
                return self.order_swap(node, guest, alone, options);
            }
            Action::RollBack { alone, .. } => return self.order_rollback(node, alone),
            Action::Withdraw { .. } => return self.withdraw(node),
            Action::GuestFaults { .. } => return self.fault_guest(node),
            Action::Canary { guest, share, .. } => return self.order_canary(node, guest, share),
            Action::PromoteCanary { .. } => return self.promote_canary(node),
            Action::EndCanary { .. } => return self.end_canary(node),
            Action::Forget { ref key, .. } => {
                self.disclaim(key);
                return self.forget(node, key);
            }
            Action::Damage { ref key, .. } => self.change_record(node, key),
            Action::Absence { ref key, ms, .. } => self.begin_absence(node, key.clone(), nanoseconds(ms)),
            Action::Send { .. }
            | Action::Leave { .. }
            | Action::Cut { .. }
            | Action::Partition { .. }
            | Action::PowerLoss { .. }
            | Action::LinkSlow { .. } => {}
        }
        Ok(())
    }

    fn fail_disk(&mut self, node: usize, ms: u64) {
        self.disks_are_whole = false;
        self.report.disk_faults += 1;
        self.after(nanoseconds(ms), Event::Heal(Healing::Disk(node)));
    }
}

/// Converts a time of an action, which lasts no longer than a run may.
fn nanoseconds(ms: u64) -> u64 {
    ms.min(FOR_MS_MAX) * MILLISECOND
}

const HOUR_NS: i64 = 3_600_000_000_000;
