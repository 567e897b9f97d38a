//! Decider: a stand-in for guests that refuses some reports, and faults on some, so that nodes quarantine them.
//!
//! Owns nothing but the rule, which is a function of the report, the node and its generation. Two nodes therefore disagree about some
//! reports and agree about others, and a new generation takes what the one before refused.

use std::sync::atomic::{AtomicU64, Ordering};

use herd_model::GenerationId;
use herd_replication::{IngestHost, NotDecided};
use herd_sdk::{Decision, Effect, Report};

/// Decides reports of peers by a hash.
#[derive(Debug)]
pub(crate) struct Decider {
    node: u64,
    generation: AtomicU64,
    guest: AtomicU64,
    refused_percent: u64,
}

impl Decider {
    pub(crate) fn new(node: usize, refused_percent: u64) -> Self {
        Self { node: node as u64, generation: AtomicU64::new(1), guest: AtomicU64::new(1), refused_percent }
    }

    /// Serves as a generation of a guest, which decides what is refused.
    pub(crate) fn serve(&self, generation: u64, guest: u64) {
        self.generation.store(generation, Ordering::Relaxed);
        self.guest.store(guest, Ordering::Relaxed);
    }

    /// Swaps to another generation.
    pub(crate) fn swap(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.guest.fetch_add(1, Ordering::Relaxed);
    }

    fn hash(&self, report: &Report<'_>) -> u64 {
        // Half of the reports are judged alike by all nodes.
        let node = if report.rank.last().is_some_and(|byte| byte % 2 == 0) { 0 } else { self.node };
        let seed = self.guest.load(Ordering::Relaxed) ^ (node << 32);
        let bytes = report.key.iter().chain(report.rank);
        bytes.fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
        })
    }
}

impl IngestHost for Decider {
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
        let mut decision = Decision::default();
        for (index, report) in (0..).zip(reports) {
            match self.hash(report) % 1000 {
                hash if hash < 10 * self.refused_percent => decision.effects.push(Effect::Refuse(index)),
                998 => return Err(NotDecided::Faulted),
                999 if reports.len() > 1 => return Err(NotDecided::NoInstance),
                _ => {}
            }
        }
        Ok((GenerationId(self.generation.load(Ordering::Relaxed)), decision))
    }

    fn perform(&self, _: GenerationId, _: &Decision, _: &[bool]) {}

    fn now_ns(&self) -> u64 {
        0
    }
}
