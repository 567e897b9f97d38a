//! Guests of a simulated node: picks the one that serves, and checks some of its decisions.
//!
//! Owns their warm instances and the first violation. Knows nothing of sessions and links. Bounds: one instance per guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_sdk::native::{Decider, Fault};
use herd_sdk::{Decision, InputBatch, Moment, Outcome, Records, Report};
use parking_lot::Mutex;

use crate::chance::Chance;
use crate::decision_checks::{check_cuts, check_fresh, inputs_text, text};
use crate::generations::Serving;
use crate::guest::{SimGuest, SimGuests};
use crate::violation::Violation;

/// Guests of a process.
pub(crate) struct NodeGuests {
    node: String,
    guests: Vec<Mutex<Box<dyn SimGuest>>>,
    records: Arc<dyn Records + Send + Sync>,
    serving: Arc<Serving>,
    checks: Option<Mutex<Checks>>,
    /// Time of the node in nanoseconds, and hash of all decisions.
    now_ns: AtomicU64,
    trace: AtomicU64,
}

/// Checks of decisions, and what they found.
struct Checks {
    chance: Chance,
    percent: u64,
    violation: Option<Violation>,
}

impl NodeGuests {
    /// Starts the guests of a node. With `checked_percent`, so many of 100 decisions are checked, as `chance` picks them.
    ///
    /// # Errors
    ///
    /// A guest does not start.
    pub(crate) fn start(
        guests: &dyn SimGuests,
        node: &str,
        records: Arc<dyn Records + Send + Sync>,
        serving: Arc<Serving>,
        checked_percent: Option<u64>,
        chance: Chance,
    ) -> Result<Self, Violation> {
        let not_started = |why| Violation::NotStarted { node: node.into(), why };
        let guests = guests.start(node, &records).map_err(not_started)?.into_iter().map(Mutex::new).collect();
        let checks = checked_percent.map(|percent| Mutex::new(Checks { chance, percent, violation: None }));
        let (now_ns, trace) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { node: node.into(), guests, records, serving, checks, now_ns, trace })
    }

    /// Sets the time at which reports of peers are decided.
    pub(crate) fn set_now(&self, now_ns: u64) {
        self.now_ns.store(now_ns, Ordering::Relaxed);
    }

    /// Returns a hash of all decisions.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.load(Ordering::Relaxed)
    }

    /// Takes the first violation of a check.
    pub(crate) fn take_violation(&self) -> Option<Violation> {
        self.checks.as_ref().and_then(|checks| checks.lock().violation.take())
    }

    /// Decides inputs of sessions by a guest. None if it faulted.
    pub(crate) fn inputs(&self, guest: usize, at: Moment, inputs: &InputBatch) -> Option<Decision> {
        let decision = self.decide(guest, || inputs_text(inputs), |decider| decider.inputs(at, inputs))?;
        if let Some(checks) = &self.checks {
            let mut checks = checks.lock();
            let index = checks.chance.index(inputs.len());
            if let Some(input) = inputs.iter().nth(index).filter(|_| checks.is_due()) {
                let guest = self.guest(guest).lock();
                let checked = check_cuts(&self.node, &**guest, &self.records, at, input, &mut checks.chance);
                checks.note(checked);
            }
        }
        Some(decision)
    }

    /// Decides the answer to a fetch by the guest that made it. None if the guest faulted.
    pub(crate) fn answer(
        &self,
        guest: usize,
        at: Moment,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Option<Decision> {
        let what = || format!("the answer for token {}", text(token));
        self.decide(guest, what, |decider| decider.answer(at, token, otherwise, outcome))
    }

    /// Decides reports of a peer. None if the guest faulted.
    pub(crate) fn reports(&self, reports: &[Report<'_>]) -> Option<Decision> {
        let now_ns = self.now_ns.load(Ordering::Relaxed);
        let at = Moment { now_ns, random: (now_ns, !now_ns) };
        let what =
            || format!("reports: {}", reports.iter().map(|report| text(report.bytes)).collect::<Vec<_>>().join(", "));
        self.decide(self.serving.active().guest, what, |decider| decider.reports(at, reports))
    }

    fn decide(
        &self,
        guest: usize,
        what: impl Fn() -> String,
        call: impl Fn(&mut dyn Decider) -> Result<Decision, Fault>,
    ) -> Option<Decision> {
        let mut guest = self.guest(guest).lock();
        let decided = call(&mut **guest);
        match decided {
            Ok(decision) => {
                let hash = |hash: u64, byte: u64| (hash ^ byte).wrapping_mul(0x0100_0000_01b3);
                let output = decision.output.iter().map(|&byte| u64::from(byte));
                // Refusals, forms and ties are in the words alone.
                let words = decision.effects.words().iter().map(|&word| u64::from(word));
                let trace = output.chain(words).fold(self.trace() ^ decision.output.len() as u64, hash);
                self.trace.store(trace.rotate_left(5), Ordering::Relaxed);
                if let Some(checks) = &self.checks {
                    let mut checks = checks.lock();
                    if checks.is_due() {
                        let checked = check_fresh(&self.node, &**guest, &self.records, &decision, what, call);
                        checks.note(checked);
                    }
                }
                Some(decision)
            }
            Err(why) => {
                if let Some(checks) = &self.checks {
                    let (node, why) = (self.node.clone(), why.to_string());
                    checks.lock().note(Err(Violation::GuestFaults { node, call: what(), why }));
                }
                None
            }
        }
    }

    /// Guests of the simulated swaps are more than those that decide.
    fn guest(&self, number: usize) -> &Mutex<Box<dyn SimGuest>> {
        &self.guests[number % self.guests.len()]
    }
}

impl Checks {
    fn is_due(&mut self) -> bool {
        self.violation.is_none() && self.chance.percent(self.percent)
    }

    fn note(&mut self, checked: Result<(), Violation>) {
        if let Err(violation) = checked {
            self.violation.get_or_insert(violation);
        }
    }
}
