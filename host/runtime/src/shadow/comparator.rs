//! Comparison of a candidate with the active generation on one recorded call.
//!
//! The candidate makes the whole call first. Where it faults or decides otherwise, both generations decide each line or
//! report of the call alone, over the same records, and every difference and fault is counted under its line or report.
//!
//! Records that the candidate keeps in another form are converted to the form of the active generation first, so that a
//! difference is one for readers of the active generation, too.
//!
//! Knows nothing of queues and threads. Bounds: those of a call; the owner may stop a comparison between two lines.

use herd_recording::{Call, OwnedCall, RecordedCall};
use herd_sdk::batch::read_reports;
use herd_sdk::{Decision, Effect, Input, InputBatch};
use parking_lot::Mutex;

use crate::generation::compatibility::downgrade;
use crate::generation::generation::Generation;
use crate::replay::lines::lines;
use crate::replay::replica::Replica;
use crate::sandbox::fault::Fault;
use crate::sandbox::output::OutputOf;
use crate::shadow::decision_diff::{diff, has_same_effects};
use crate::shadow::tally::{Subject, Tally};

/// Active generation and candidate, on instances of their own.
pub(crate) struct Comparator<'a> {
    active: Replica<&'a Generation>,
    candidate: Replica<&'a Generation>,
    /// Converts the candidate's records.
    generation: &'a Generation,
    /// Form of the active generation.
    form: u32,
    tally: &'a Mutex<Tally>,
    may_go_on: &'a dyn Fn() -> bool,
}

impl<'a> Comparator<'a> {
    pub(crate) fn new(
        active: &'a Generation,
        candidate: &'a Generation,
        tally: &'a Mutex<Tally>,
        may_go_on: &'a dyn Fn() -> bool,
    ) -> Self {
        let (form, generation) = (active.form(), candidate);
        let (active, candidate) = (Replica::new(active), Replica::new(candidate));
        Self { active, candidate, generation, form, tally, may_go_on }
    }

    /// Makes a call on the candidate, and counts differences from the decision of the active generation.
    pub(crate) fn compare(&mut self, recorded: &RecordedCall, before: &Decision) {
        let call = recorded.call.as_call();
        let whole = self.candidate(recorded, &call);
        if whole.as_ref().is_ok_and(|after| has_same_effects(before, after)) {
            return self.tally(|tally| tally.compared(call.decisions(), 0));
        }
        let mut is_found = false;
        let together = match &recorded.call {
            OwnedCall::Inputs(inputs) => {
                for input in inputs.iter() {
                    let lines = lines(input).into_iter();
                    let alone = |line: Input<'_>| OwnedCall::Inputs(InputBatch::from_iter([line]));
                    let alone = lines.map(|line| (Subject::Line(line.bytes), alone(line)));
                    is_found |= self.compare_each(recorded, alone);
                }
                Subject::Lines(inputs.bytes())
            }
            OwnedCall::Reports(reports) => {
                for report in read_reports(reports.bytes(), reports.words()) {
                    let alone = OwnedCall::Reports([report].iter().collect());
                    is_found |= self.compare_each(recorded, [(Subject::Report(report.key), alone)]);
                }
                Subject::Reports
            }
            // Answers are not shadowed.
            OwnedCall::Answer { .. } => return,
        };
        if is_found || !(self.may_go_on)() {
            return;
        }
        // It takes several of them in one call.
        match whole {
            Ok(after) => self.tally(|tally| {
                tally.compared(0, 1);
                diff(before, &after).iter().for_each(|difference| tally.difference(together, difference));
            }),
            Err(fault) => self.fault(together, &fault),
        }
    }

    /// Compares the lines of one input, or one report, each alone. Returns whether the candidate differs or faults.
    fn compare_each<'s>(
        &mut self,
        recorded: &RecordedCall,
        alone: impl IntoIterator<Item = (Subject<'s>, OwnedCall)>,
    ) -> bool {
        let (mut is_different, mut is_faulty) = (false, false);
        for (subject, call) in alone {
            // A guest that loops takes its deadline for every line.
            if !(self.may_go_on)() {
                return is_different || is_faulty;
            }
            match self.candidate(recorded, &call.as_call()) {
                Ok(after) => {
                    // Without a decision of the active generation on the line alone, nothing can be compared.
                    let active = || self.active.call(recorded.at, &call.as_call(), &recorded.reads);
                    let before = OutputOf::Repetition.during(active);
                    let differences = before.map_or_else(|_| vec![], |before| diff(&before, &after));
                    is_different |= !differences.is_empty();
                    self.tally(|tally| differences.iter().for_each(|one| tally.difference(subject, one)));
                }
                Err(fault) => {
                    is_faulty = true;
                    self.fault(subject, &fault);
                }
            }
        }
        self.tally(|tally| tally.compared(1, is_different.into()));
        is_different || is_faulty
    }

    /// Makes a call on the candidate over recorded reads. A record that it cannot convert stays as it is, and differs.
    fn candidate(&mut self, recorded: &RecordedCall, call: &Call<'_>) -> Result<Decision, Fault> {
        let decision = self.candidate.call(recorded.at, call, &recorded.reads)?;
        let native = self.generation.form();
        if native == self.form {
            return Ok(decision);
        }
        let mut converted = Decision { output: decision.output.clone(), ..Decision::default() };
        for effect in &decision.effects {
            let effect = match effect {
                Effect::Keep(mut keep) if keep.form == native => {
                    if let Ok(bytes) = downgrade(self.generation, self.form, decision.bytes(keep.bytes)) {
                        keep.bytes = converted.copy(&bytes);
                        keep.form = self.form;
                    }
                    Effect::Keep(keep)
                }
                other => other,
            };
            converted.effects.push(effect);
        }
        Ok(converted)
    }

    fn fault(&self, subject: Subject<'_>, fault: &Fault) {
        // The host is at fault, and any other guest would fail there, too.
        if !matches!(fault, Fault::NoInstance(_)) {
            self.tally(|tally| tally.fault(subject, fault));
        }
    }

    fn tally(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.tally.lock());
    }
}
