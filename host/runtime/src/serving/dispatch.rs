//! Who decides a call.
//!
//! The active generation, or the canary for its sessions. A call on which the canary faults is decided by the active
//! generation, and one on which that faults by the previous one, so a bad guest is not an outage; and enough such faults
//! within a window end a canary, and send a generation back that is on [`Probation`]. The answer to a fetch goes to the
//! generation that asked, as long as that is live.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use herd_sdk::{Decision, InputBatch, Moment, Outcome, Reports};

use crate::cases::dedup::Rescue;
use crate::generation::generation::Generation;
use crate::sandbox::call::{Call, Read};
use crate::sandbox::fault::Fault;
use crate::serving::probation::Probation;
use crate::serving::registry::GenerationRegistry;
use crate::serving::snapshot::Snapshot;
use herd_model::GenerationId;
use herd_model::{Side, Sides};

/// A fault that may be made good yet.
struct Faulted<'a> {
    generation: &'a Arc<Generation>,
    fault: Fault,
    reads: Vec<Read>,
}

impl GenerationRegistry {
    /// Who decides for which sessions now.
    #[must_use]
    pub fn sides(&self) -> Sides {
        self.snapshot.load().sides()
    }

    /// Decides inputs of sessions of one side, as one call.
    ///
    /// # Errors
    ///
    /// Every live generation faulted; nothing was decided.
    pub fn inputs(&self, at: Moment, inputs: &InputBatch, side: Side) -> Result<(GenerationId, Decision), Fault> {
        self.decide(at, &Call::Inputs(inputs), side)
    }

    /// Decides reports of a peer.
    ///
    /// # Errors
    ///
    /// Every live generation faulted; nothing was decided.
    pub fn reports(&self, at: Moment, reports: Reports<'_>) -> Result<(GenerationId, Decision), Fault> {
        self.decide(at, &Call::Reports(&reports.iter().collect()), Side::Active)
    }

    /// Decides the answer to a fetch, by the generation that asked.
    ///
    /// # Errors
    ///
    /// It faulted, or is gone (`None`); nothing was decided.
    pub fn answer(
        &self,
        asked: GenerationId,
        at: Moment,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Option<Fault>> {
        let snapshot = &**self.snapshot.load();
        let generation = snapshot.find(asked).ok_or(None)?;
        let call = Call::Answer { token, otherwise, outcome };
        let (decided, reads) = try_call(generation, at, &call);
        match decided {
            Ok(decision) => {
                self.record(generation, at, &call, reads, &decision);
                Ok(decision)
            }
            Err(fault) => {
                self.warn(generation, &fault, "fault on an answer; its reply in reserve is sent");
                self.count_fault(snapshot, generation, &fault);
                Err(Some(fault))
            }
        }
    }

    fn decide(&self, at: Moment, call: &Call<'_>, side: Side) -> Result<(GenerationId, Decision), Fault> {
        let snapshot = &**self.snapshot.load();
        let mut faulted: Vec<Faulted<'_>> = Vec::new();
        for generation in snapshot.fallback_order(side) {
            let (decided, reads) = try_call(generation, at, call);
            match decided {
                Ok(decision) => {
                    if side == Side::Canary
                        && let Some(canary) = snapshot.canary.as_ref().filter(|_| faulted.is_empty())
                    {
                        canary.record_decision();
                    }
                    if !faulted.is_empty() {
                        self.record_rescue(snapshot, at, call, &faulted, generation, &reads);
                    }
                    self.record(generation, at, call, reads, &decision);
                    return Ok((generation.id(), decision));
                }
                Err(fault) => {
                    self.warn(generation, &fault, snapshot.fault_message(generation));
                    faulted.push(Faulted { generation, fault, reads });
                }
            }
        }
        Err(faulted.pop().map_or_else(|| Fault::NoInstance("nothing is live".into()), |last| last.fault))
    }

    /// A call was decided by a generation after others had faulted on it: each of them is counted, and shown by a case.
    fn record_rescue(
        &self,
        snapshot: &Snapshot,
        at: Moment,
        call: &Call<'_>,
        faulted: &[Faulted<'_>],
        rescuing: &Arc<Generation>,
        reads: &[Read],
    ) {
        self.rescued.fetch_add(1, Ordering::Relaxed);
        for Faulted { generation: faulting, fault, reads: seen } in faulted {
            if let Some(evidence) = self.evidence.get() {
                evidence.offer(&Rescue { at, call, fault, faulting, rescuing, reads: [seen, reads] });
            }
            self.count_fault(snapshot, faulting, fault);
        }
    }

    /// Records a call that was decided, and has it shadowed if there is a shadow of whoever decided it.
    fn record(&self, by: &Generation, at: Moment, call: &Call<'_>, reads: Vec<Read>, decision: &Decision) {
        let recorded = self.recorder.record(at, call, reads);
        self.shadows.offer(by.id(), &recorded, decision);
    }

    /// Counts a fault that cost nobody anything, and ends the canary or sends the active generation back if it is one too
    /// many.
    fn count_fault(&self, snapshot: &Snapshot, generation: &Arc<Generation>, fault: &Fault) {
        // The host is at fault, and no other guest would do better.
        if matches!(fault, Fault::NoInstance(_)) {
            return;
        }
        let is = |other: &Arc<Generation>| Arc::ptr_eq(other, generation);
        if let Some(canary) = snapshot.canary.as_ref().filter(|canary| is(canary.generation())) {
            if canary.record_fault() {
                self.fail_canary(canary, fault);
            }
            return;
        }
        let fails = |probation: &Probation| probation.record_fault(Instant::now());
        if is(&snapshot.active) && snapshot.probation.as_ref().is_some_and(fails) {
            self.roll_back_failed(&snapshot.active, fault);
        }
    }

    /// Logs a fault, at most one a second: a guest that faults on every line must not fill a disk. `herd status`
    /// has the count.
    fn warn(&self, generation: &Generation, fault: &Fault, what: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.warned_second.swap(now, Ordering::Relaxed) != now {
            tracing::warn!(generation = %generation.id(), digest = %generation.digest().short(), kind = fault.kind(), %fault, "{what}");
        }
    }
}

/// Makes a call. Also gives what it looked up, up to its fault if there is one.
fn try_call(generation: &Generation, at: Moment, call: &Call<'_>) -> (Result<Decision, Fault>, Vec<Read>) {
    let mut reads = Vec::new();
    let decided = generation.call(|instance| {
        let decided = instance.decide(at, call);
        reads = instance.take_reads();
        decided
    });
    (decided, reads)
}
