//! Absence: a node is off for longer than forgotten clients are remembered, and must not bring them back.
//!
//! A month passes at once, for all nodes. It may only where nothing is on its way, because nothing is for a month: the node leaves when all
//! are equal, the others forget clients when they are equal, and the month passes when they are once more. Knows nothing of what the nodes
//! conclude. Bounds: the looks at whether a herd has settled.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::time::Duration;

use herd_store::Durability;

use super::faults::Loss;
use super::{EPOCH_NS, Event, Herd, MILLISECOND, Node, SECOND};
use crate::client::client_name;
use crate::history::{Compared, check_equal};
use crate::link_end::LinkEnd;
use crate::process::{HerdSettings, Process, TOMBSTONES_KEPT};
use crate::violation::Violation;

/// Step of an absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The node is switched off, to start so many nanoseconds after the latest moment at which the month passes.
    Leave { key: String, start_ns: u64 },
    /// Half of the clients report nothing from now on. The others forget one in two of those, and one that reports again.
    Forget { key: String },
    /// The month passes.
    Month,
    /// The node is about to start, perhaps with clients before it has peers.
    Return,
}

impl Herd<'_> {
    /// Begins an absence, unless what was forgotten could come back for other reasons.
    pub(super) fn begin_absence(&mut self, node: usize, key: String, start_ns: u64) {
        let HerdSettings { durability, expire_after_s, .. } = self.settings;
        // In `memory` a node starts with nothing, records that expire are gone in a month, and a node that is left alone would be away as well.
        if durability != Durability::Memory && expire_after_s == 0 && self.nodes.len() > 2 {
            self.after(0, Event::Absence { node, step: Step::Leave { key, start_ns }, looks: 0 });
        }
    }

    pub(super) fn on_absence(&mut self, node: usize, step: Step, looks: u32) -> Result<(), Violation> {
        // A damaged disk or table may have lost what tells a node what it lacks.
        if self.resting || !self.disks_are_whole || self.report.damages > 0 || looks == LOOKS_MAX {
            return Ok(());
        }
        let away = if matches!(step, Step::Leave { .. }) { None } else { Some(node) };
        if step != Step::Return && !self.is_settled(away) {
            self.after(LOOK_NS, Event::Absence { node, step, looks: looks + 1 });
            return Ok(());
        }
        match step {
            Step::Leave { key, start_ns } => {
                // A node whose first contact is not on its disk counts as one that never met a peer.
                if let Some(process) = &self.nodes[node].process {
                    process.sync();
                }
                let away_ns = LEFT_NS + 2 * u64::from(LOOKS_MAX) * LOOK_NS + start_ns;
                self.after(away_ns, Event::Absence { node, step: Step::Return, looks: 0 });
                self.crash(node, Loss::Process, away_ns);
                self.after(LEFT_NS, Event::Absence { node, step: Step::Forget { key }, looks: 0 });
                Ok(())
            }
            Step::Forget { key } => {
                self.after(LOOK_NS, Event::Absence { node, step: Step::Month, looks: 0 });
                let Some(forgetter) = (0..self.nodes.len()).find(|number| *number != node) else { return Ok(()) };
                // What clients report anew before the node is back outranks what it brings, and hides what it lacks.
                self.reporting = (self.reporting / 2).max(1);
                let gone = (self.reporting..self.keys).step_by(2).map(client_name).filter(|gone| *gone != key);
                let forgotten: Vec<String> = iter::once(key.clone()).chain(gone).collect();
                forgotten.iter().try_for_each(|key| {
                    self.disclaim(key);
                    self.forget(forgetter, key)
                })
            }
            Step::Month => self.pass_month(node),
            Step::Return => {
                // Others meet a peer before a client.
                if self.chance.percent(50) {
                    self.cut_off(node);
                }
                Ok(())
            }
        }
    }

    /// Cuts a node off from all others for a moment.
    fn cut_off(&mut self, node: usize) {
        let linked = self.pairs.iter().filter(|(a, b)| *a == node || *b == node);
        let directions = linked.flat_map(|&(a, b)| [(a, b), (b, a)]).collect();
        self.block(directions, ALONE_NS);
    }

    /// Lets a month pass, in which all nodes but one are linked.
    fn pass_month(&mut self, away: usize) -> Result<(), Violation> {
        let running = self.nodes.iter().filter_map(|node| node.process.as_ref());
        if let Some(process) = running.clone().next() {
            self.history.remove_forgotten(&process.replica);
        }
        self.months += 1;
        self.report.absences += 1;
        for number in (0..self.nodes.len()).filter(|number| *number != away) {
            self.housekeeping(number);
            if let Some(process) = &self.nodes[number].process {
                // What is a month old is on the disk.
                process.sync();
            }
            self.touched(number)?;
        }
        Ok(())
    }

    /// Notes the contact of a node with its peers and removes what has reached its boundary, as a node does once a minute.
    pub(super) fn housekeeping(&mut self, number: usize) {
        let now_s = self.wall_ns(number) / SECOND;
        let Some(Process { replica, .. }) = &self.nodes[number].process else { return };
        replica.note_contact(now_s, TOMBSTONES_KEPT.as_secs());
        // Nothing reaches its boundary in the minutes of a run without a month.
        if self.months > 0 {
            replica.expire(now_s);
        }
        replica.flush();
    }

    /// Returns the Unix time at which the run began, had it begun after the months that have passed in it.
    pub(super) fn epoch_ns(&self) -> u64 {
        EPOCH_NS + self.months * MONTH.as_nanos() as u64
    }

    /// Returns whether all nodes but `away` run, are linked with one another, and have all that any of them has.
    fn is_settled(&self, away: Option<usize>) -> bool {
        let present = || (0..self.nodes.len()).filter(|number| Some(*number) != away);
        let runs = |number: usize| {
            let Node { process, paused_until, .. } = &self.nodes[number];
            process.as_ref().is_some_and(|process| process.replica.contact_s().is_some()) && *paused_until <= self.now
        };
        if !self.blocked.is_empty() || !present().all(runs) {
            return false;
        }
        let ends = || self.ends.iter().filter(|((from, to), _)| Some(*from) != away && Some(*to) != away);
        let is_up = |((from, to), end): (&(usize, usize), &LinkEnd)| {
            let other = self.ends.get(&(*to, *from)).map(|other| other.connection);
            end.is_settled() && other == Some(end.connection)
        };
        let replicas = || {
            let nodes = present().map(|number| &self.nodes[number]);
            nodes.filter_map(|node| Some((node.name, &*node.process.as_ref()?.replica)))
        };
        ends().all(is_up)
            && is_connected(&present().collect(), ends().map(|(pair, _)| *pair))
            && check_equal(replicas(), Compared::NewestEpochs).is_ok()
    }
}

/// Returns whether every node reaches every other one.
fn is_connected(nodes: &BTreeSet<usize>, links: impl Iterator<Item = (usize, usize)>) -> bool {
    let mut peers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    links.for_each(|(from, to)| peers.entry(from).or_default().push(to));
    let mut reached: BTreeSet<usize> = BTreeSet::new();
    let mut next: Vec<usize> = nodes.first().copied().into_iter().collect();
    while let Some(node) = next.pop() {
        if reached.insert(node) {
            next.extend(peers.get(&node).into_iter().flatten());
        }
    }
    reached == *nodes
}

/// Longer than tombstones are kept, with the grace and the clocks of a run.
const MONTH: Duration = Duration::from_secs(31 * 86_400);
/// Time that the others have for reports and other faults before they forget a client.
const LEFT_NS: u64 = 3 * SECOND;
/// Time in which a node that comes back has clients and no peers.
const ALONE_NS: u64 = 2 * SECOND;
/// Between two looks whether the herd has settled.
const LOOK_NS: u64 = 20 * MILLISECOND;
const LOOKS_MAX: u32 = 500;
