//! Dispatch of calls to generations, and failure handling.
//!
//! ```text
//! canary (for its sessions) -- fault --> active -- fault --> previous -- fault --> error
//! ```
//!
//! A generation that faults has left no trace, because effects are performed only after a call returned; so the same input goes
//! to the next generation in line, and a bad guest is not an outage. Enough faults within a window end a canary, or roll back
//! an active generation that is on [`Probation`]. The answer to a fetch goes only to the generation that fetched, while that is
//! live: another one cannot read its token. A response on which that faults becomes a failure of the upstream, and the fault
//! counts if another generation survives the same call.
//!
//! Everything here runs on worker threads, inline in the task that read the socket. It never waits, but for the switch lock
//! when it ends a generation. Knows nothing of sessions, peers or what an effect does. Bounds: three tries per call, six for the
//! answer to a fetch; one warning a second.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use herd_model::{DecidedInputs, GenerationId, Listener, Reroute, Side, Sides};
use herd_recording::{Call, NewEntry, Read};
use herd_sdk::{Decision, Failure, InputBatch, Moment, Outcome, Reports};
use herd_sys::clock::unix_now;

use crate::cases::dedup::RescuedCall;
use crate::generation::generation::Generation;
use crate::replay::timer_runtime::enter_timer_runtime;
use crate::sandbox::fault::Fault;
use crate::serving::probation::Probation;
use crate::serving::registry::GenerationRegistry;
use crate::serving::snapshot::Snapshot;

/// A call to be decided, and where it comes from.
#[derive(Clone, Copy)]
struct Request<'a> {
    at: Moment,
    call: &'a Call<'a>,
    /// Numbers of the sessions of its inputs, for a recording.
    sessions: &'a [u64],
    /// Listener of these sessions. Calls for another than that of clients are not repeated elsewhere: recordings, rehearsals, shadows and
    /// cases have instances with the settings of the node.
    listener: Listener,
}

/// A faulted call that a later generation in line may still decide.
struct Faulted<'a> {
    generation: &'a Arc<Generation>,
    fault: Fault,
    reads: Vec<Read>,
}

impl GenerationRegistry {
    /// Returns which sessions the canary decides for at the moment.
    #[must_use]
    pub fn sides(&self) -> Sides {
        self.snapshot.load().sides()
    }

    /// Decides inputs of sessions of one side in one call, in the order of `reroute` if there is one. `sessions` are the numbers of their
    /// sessions, for a recording.
    ///
    /// # Errors
    ///
    /// Every generation in line faulted. Returns the last fault, or that the host had no instance for one of them, which may be
    /// over in a moment. Nothing was decided.
    pub fn inputs(
        &self,
        at: Moment,
        inputs: &InputBatch,
        sessions: &[u64],
        side: Side,
        reroute: Option<Reroute>,
    ) -> Result<DecidedInputs, Fault> {
        self.decide(&Request { at, call: &Call::Inputs(inputs), sessions, listener: Listener::Clients }, side, reroute)
    }

    /// Decides inputs of sessions of the listener for classic links, as [`inputs`](Self::inputs). They are neither recorded nor repeated
    /// elsewhere.
    ///
    /// # Errors
    ///
    /// As [`inputs`](Self::inputs).
    pub fn classic_inputs(
        &self,
        at: Moment,
        inputs: &InputBatch,
        side: Side,
        reroute: Option<Reroute>,
    ) -> Result<DecidedInputs, Fault> {
        let call = &Call::Inputs(inputs);
        self.decide(&Request { at, call, sessions: &[], listener: Listener::Classic }, side, reroute)
    }

    /// Decides reports of a peer in one call. Never by the canary: reports belong to no session.
    ///
    /// # Errors
    ///
    /// Every generation in line faulted. Returns the last fault. Nothing was decided.
    pub fn reports(&self, at: Moment, reports: Reports<'_>) -> Result<(GenerationId, Decision), Fault> {
        // Quarantined reports are offered again from threads outside of any runtime.
        let _entered = enter_timer_runtime();
        let call = &Call::Reports(&reports.iter().collect());
        let request = Request { at, call, sessions: &[], listener: Listener::Clients };
        let decided = self.decide(&request, Side::Active, None)?;
        Ok((decided.by, decided.decision))
    }

    /// Decides the answer to a fetch of a session with the generation `asked` that made the fetch. If it faults on a response, it decides
    /// `failed(incomplete)` in its place, so that a guest with several sources asks the next one.
    ///
    /// # Errors
    ///
    /// The generation faulted, or is no longer live (`None`). Nothing was decided: the caller sends the fallback reply.
    pub fn answer(
        &self,
        asked: GenerationId,
        at: Moment,
        session: u64,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Option<Fault>> {
        // Held for the whole call: see `decide`.
        let snapshot = &**self.snapshot.load();
        let generation = snapshot.find(asked).ok_or(None)?;
        let (mut last, mut is_counted) = (None, false);
        let is_response = matches!(outcome, Outcome::Answered { .. });
        for outcome in [Some(outcome), is_response.then_some(INCOMPLETE)].into_iter().flatten() {
            let call = Call::Answer { token, otherwise, outcome };
            let request = Request { at, call: &call, sessions: &[session], listener: Listener::Clients };
            let began = Instant::now();
            let (decided, reads) = try_call(snapshot, generation, &request);
            match decided {
                Ok(decision) => {
                    generation.decided().record(&call, &decision, began.elapsed());
                    self.record(generation, &request, reads, &decision);
                    return Ok(decision);
                }
                // The guest was not asked, and a failure in place of the response would not find an instance either.
                Err(fault @ Fault::NoInstance(_)) => return Err(Some(fault)),
                Err(fault) => {
                    self.note_fault(generation, &fault, "fault on the answer to a fetch");
                    self.record_fault(generation, &request, &reads, &fault);
                    // Once per answer: a client must not have two faults of eight for one request.
                    if !is_counted && self.is_survived_by_another(snapshot, generation, &request) {
                        is_counted = true;
                        self.count_fault(snapshot, generation, &fault);
                    }
                    last = Some(fault);
                }
            }
        }
        Err(last)
    }

    /// Returns whether another live generation decides this call on which a generation faulted. False without asking where the
    /// fault counts for nothing.
    ///
    /// The other generation cannot read the token, and its decision is discarded. But what an upstream sends may be more than
    /// any guest can take within its limits, and that shows nothing about the new one.
    fn is_survived_by_another(&self, snapshot: &Snapshot, faulting: &Arc<Generation>, request: &Request<'_>) -> bool {
        if !snapshot.is_on_trial(faulting) {
            return false;
        }
        let mut others = snapshot.fallback_order(Side::Active).filter(|other| !Arc::ptr_eq(other, faulting));
        others.any(|other| try_call(snapshot, other, request).0.is_ok())
    }

    /// Decides a call with the first generation in line that does not fault.
    fn decide(&self, request: &Request<'_>, side: Side, reroute: Option<Reroute>) -> Result<DecidedInputs, Fault> {
        // One load per call. The guard keeps every generation of this snapshot alive until the call ends, whatever is swapped
        // meanwhile: so a retired generation has to be drained. Cloning an `Arc` here would have all workers contend for its
        // count on every call.
        let snapshot = &**self.snapshot.load();
        // Does not allocate before the first fault.
        let mut faulted: Vec<Faulted<'_>> = Vec::new();
        for generation in snapshot.rerouted_order(side, reroute) {
            let began = Instant::now();
            let (decided, reads) = try_call(snapshot, generation, request);
            match decided {
                Ok(decision) => {
                    // What classic links bring counts by itself: its lines are no commands of the guest.
                    if request.listener == Listener::Clients {
                        generation.decided().record(request.call, &decision, began.elapsed());
                    }
                    if side == Side::Canary
                        && let Some(canary) = &snapshot.canary
                        && Arc::ptr_eq(canary.generation(), generation)
                    {
                        canary.record_decision();
                    }
                    // Before the reply leaves: a generation that failed its probation is gone before its client can send the
                    // next line.
                    let is_rescued = self.record_rescue(snapshot, request, &faulted, generation, &reads);
                    self.record(generation, request, reads, &decision);
                    let first = is_rescued.then(|| snapshot.fallback_order(side).next()).flatten();
                    return Ok(DecidedInputs {
                        by: generation.id(),
                        rescued_from: first.map(|first| first.id()),
                        decision,
                    });
                }
                Err(fault) => {
                    self.note_fault(generation, &fault, snapshot.fault_message(generation));
                    self.record_fault(generation, request, &reads, &fault);
                    faulted.push(Faulted { generation, fault, reads });
                }
            }
        }
        // One that got no instance might have decided: the caller tries again later, and blames no input.
        let not_asked = faulted.iter().rposition(|faulted| matches!(faulted.fault, Fault::NoInstance(_)));
        let telling = not_asked.map(|index| faulted.swap_remove(index)).or_else(|| faulted.pop());
        Err(telling.map_or_else(|| Fault::NoInstance("no generation is live".into()), |telling| telling.fault))
    }

    /// Counts a call that one generation decided after others had faulted on it, and offers each fault for a case. Returns whether
    /// one had: a generation without an instance was not asked, so neither it nor the input is to blame.
    ///
    /// An input on which every generation in line faults counts against none: it shows nothing about the new one.
    fn record_rescue(
        &self,
        snapshot: &Snapshot,
        request: &Request<'_>,
        faulted: &[Faulted<'_>],
        rescuing: &Arc<Generation>,
        reads: &[Read],
    ) -> bool {
        let mut is_rescued = false;
        for Faulted { generation: faulting, fault, reads: seen } in faulted {
            if matches!(fault, Fault::NoInstance(_)) {
                continue;
            }
            is_rescued = true;
            if let Some(cases) = self.cases.get()
                && request.listener == Listener::Clients
            {
                let Request { at, call, .. } = *request;
                cases.offer(&RescuedCall { at, call, fault, faulting, rescuing, reads: [seen, reads] });
            }
            self.count_fault(snapshot, faulting, fault);
        }
        // All workers share this count: a call without a fault must not write to it.
        if is_rescued {
            self.rescued.fetch_add(1, Ordering::Relaxed);
        }
        is_rescued
    }

    /// Records a decided call, and offers it to a shadow of the generation that decided it. Waits for neither.
    fn record(&self, by: &Generation, request: &Request<'_>, reads: Vec<Read>, decision: &Decision) {
        let Request { at, call, sessions, listener } = *request;
        if listener != Listener::Clients {
            return;
        }
        if let Some(recording) = self.recording.get() {
            let (generation, call, reads, outcome) = (by.id(), *call, &*reads, Ok(decision));
            recording.record(by.logged(), &NewEntry { generation, sessions, at, call, reads, outcome });
        }
        let recorded = self.recorder.record(at, call, reads);
        self.shadows.offer(by.id(), &recorded, decision);
    }

    /// Records a call on which a generation faulted. Not one for which the host had no instance: no guest was asked.
    fn record_fault(&self, faulting: &Generation, request: &Request<'_>, reads: &[Read], fault: &Fault) {
        let Request { at, call, sessions, listener } = *request;
        if listener == Listener::Clients
            && let Some(recording) = self.recording.get()
            && !matches!(fault, Fault::NoInstance(_))
        {
            let (generation, text) = (faulting.id(), fault.to_string());
            let outcome = Err((fault.kind(), &*text));
            recording.record(faulting.logged(), &NewEntry { generation, sessions, at, call: *call, reads, outcome });
        }
    }

    /// Counts a fault, and ends the canary or rolls back the active generation if it is one too many.
    fn count_fault(&self, snapshot: &Snapshot, generation: &Arc<Generation>, fault: &Fault) {
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

    /// Counts a fault by its kind, and logs at most one a second, because a guest that faults on every line must not fill a disk.
    fn note_fault(&self, generation: &Generation, fault: &Fault, what: &str) {
        *self.faults.lock().entry(fault.kind()).or_default() += 1;
        if let Some(suppressed) = self.fault_log.admit(unix_now()) {
            tracing::warn!(node = %self.settings.node, generation = %generation.id(), digest = %generation.digest().short(), kind = fault.kind(), %fault, suppressed, "{what}");
        }
    }
}

/// Makes a call. Also returns its look-ups, up to the fault if it faulted: a case needs them to reproduce it.
///
/// If the host has no room for an instance, tries once more without the warm instances that other generations have on this
/// thread: what serves now needs the room most.
fn try_call(
    snapshot: &Snapshot,
    generation: &Arc<Generation>,
    request: &Request<'_>,
) -> (Result<Decision, Fault>, Vec<Read>) {
    let mut reads = Vec::new();
    let mut decide = || {
        generation.call_for(request.listener, |instance| {
            let decided = instance.decide(request.at, request.call);
            reads = instance.take_reads();
            decided
        })
    };
    let mut decided = decide();
    if matches!(decided, Err(Fault::NoInstance(_))) {
        snapshot.all().filter(|other| !Arc::ptr_eq(other, generation)).for_each(|other| other.cool());
        decided = decide();
    }
    (decided, reads)
}

/// The outcome of a fetch whose response no guest could decide.
const INCOMPLETE: Outcome<'static> = Outcome::Failed(Failure::Incomplete);

#[cfg(test)]
mod tests;
