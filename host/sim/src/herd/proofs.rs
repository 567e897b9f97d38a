//! Proofs of equality in a herd: by their timer, on request, and over damage that the simulator does.
//!
//! Links begin proofs by themselves, as those of a node do. Knows only what they count. Bounds: one refresh of digests per link.

use herd_replication::LinkReplication;

use super::{Herd, MILLISECOND, SECOND};
use crate::link_end::LinkEnd;
use crate::violation::Violation;

impl Herd<'_> {
    /// Brings the digests of a node up to date, which it does on a thread that may take a while.
    pub(super) fn on_refresh(&mut self, from: usize, to: usize, connection: u64, cutoff_s: u64) {
        let Some(end) = self.ends.get_mut(&(from, to)).filter(|end| end.connection == connection) else { return };
        end.refreshing = false;
        if let Some(process) = &self.nodes[from].process {
            process.replica.refresh_digests(cutoff_s);
            self.schedule_turn(from, to, 0);
        }
    }

    /// Adds what the proofs of a connection came to, before it goes.
    pub(super) fn note_proofs(&mut self, at: usize, peer: usize, end: &LinkEnd) {
        let LinkReplication { proofs, repairs, .. } = LinkReplication::of(end.machine.port());
        self.report.proofs += proofs;
        self.report.repairs += repairs;
        if repairs > 0 {
            self.repaired = Some((at, peer));
        }
    }

    /// Checks that the proofs of a node mended nothing, unless something was damaged.
    pub(super) fn check_repairs(&mut self, node: usize) -> Result<(), Violation> {
        if self.report.damages > 0 {
            return Ok(());
        }
        let ends = self.ends.range((node, 0)..(node + 1, 0));
        let mut repairing = ends.filter(|(_, end)| LinkReplication::of(end.machine.port()).repairs > 0);
        let Some((at, peer)) = self.repaired.or_else(|| repairing.next().map(|(&pair, _)| pair)) else { return Ok(()) };
        Err(Violation::NeedlessRepair { node: self.nodes[at].name.into(), peer: self.nodes[peer].name.into() })
    }

    /// Changes a record behind a node's back, so that it ranks higher. A record that is lost instead could be one of which a disk that
    /// loses power has the only other copy.
    pub(super) fn change_record(&mut self, node: usize, key: &str) {
        self.damage(node, key, |record| {
            let mut changed = record.to_vec();
            if let Some(last) = changed.last_mut() {
                *last = last.saturating_add(1);
            }
            Some(changed)
        });
    }

    fn damage(&mut self, node: usize, key: &str, change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
        // Its owner never reported that.
        self.disclaim(key);
        if let Some(process) = &self.nodes[node].process {
            self.report.damages += u64::from(process.replica.damage(key.as_bytes(), change));
        }
    }

    /// Lets a quiet herd find damage by the timer of its proofs, and then prove on request that it is equal.
    pub(super) fn prove(&mut self) -> Result<(), Violation> {
        if self.damages_at_rest {
            for node in 0..self.nodes.len() {
                let key = format!("client{}", self.chance.below(self.keys));
                match self.chance.below(3) {
                    0 => self.change_record(node, &key),
                    1 if node > 0 => self.damage(node, &key, |_| None),
                    _ => {}
                }
            }
            self.wait_for(BY_TIMER_NS_MAX, Self::check_rest)?;
        }
        let proved = |end: &LinkEnd| LinkReplication::of(end.machine.port()).proofs;
        for node in 0..self.nodes.len() {
            self.check_repairs(node)?;
            self.nodes[node].process.iter().for_each(|process| process.replica.request_proofs());
            self.schedule_turns(node, MILLISECOND);
        }
        let before: Vec<_> = self.ends.iter().map(|(&pair, end)| (pair, end.connection, proved(end))).collect();
        self.wait_for(ON_REQUEST_NS_MAX, |herd| {
            let unproved = before.iter().find(|&&(pair, connection, proofs)| {
                herd.ends.get(&pair).is_none_or(|end| end.connection != connection || proved(end) == proofs)
            });
            let name = |node: usize| herd.nodes[node].name.to_string();
            unproved
                .map_or(Ok(()), |&((node, peer), ..)| Err(Violation::NotProved { node: name(node), peer: name(peer) }))
        })?;
        for ((node, peer), end) in std::mem::take(&mut self.ends) {
            self.note_proofs(node, peer, &end);
        }
        (0..self.nodes.len()).try_for_each(|node| self.check_repairs(node))
    }
}

/// Time in which damage is found and mended: two periods of proofs, because a walk may meet records that expire, and the steps between
/// nodes that are several links apart.
const BY_TIMER_NS_MAX: u64 = 80 * SECOND;
/// Time in which all links prove on request.
const ON_REQUEST_NS_MAX: u64 = 15 * SECOND;
