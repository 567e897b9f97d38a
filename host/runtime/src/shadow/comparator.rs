//! Two generations side by side: the candidate makes a call again that the active one has decided, and what differs is
//! counted under the line that it is on.
//!
//! A call takes the input of many sessions, and an input many lines. Decisions are compared input by input; where one
//! differs that has several lines, both generations decide it line by line, over the same reads, so that the line which
//! makes the difference is found. The same is done where the candidate faults.
//!
//! Where the candidate writes records in another form, those that it would keep are converted to the form of the active one
//! before they are compared: what differs then differs for whoever reads it.
//!
//! Knows nothing of queues and threads. Bounds: those of a call; whoever asks may have it stop between two lines.

use std::sync::{Mutex, MutexGuard, PoisonError};

use herd_sdk::batch::read_reports;
use herd_sdk::{Decision, Effect, Input, InputBatch, Mark};

use crate::generation::compatibility::downgrade;
use crate::generation::generation::Generation;
use crate::replay::rehearsal::Replica;
use crate::sandbox::call::{Call, OwnedCall, RecordedCall};
use crate::sandbox::fault::Fault;
use crate::shadow::decision_diff::{Decided, by_input, by_report};
use crate::shadow::tally::{Differences, Subject};

/// The active generation and a candidate.
pub(crate) struct SideBySide<'a> {
    active: Replica<'a>,
    candidate: Candidate<'a>,
    differences: &'a Mutex<Differences>,
    goes_on: &'a dyn Fn() -> bool,
    faults_max: u64,
    faults: u64,
}

impl<'a> SideBySide<'a> {
    pub(crate) fn new(
        active: &'a Generation,
        candidate: &'a Generation,
        differences: &'a Mutex<Differences>,
        goes_on: &'a dyn Fn() -> bool,
        faults_max: u64,
    ) -> Self {
        let form = active.form();
        let candidate = Candidate { generation: candidate, replica: Replica::new(candidate), form };
        let active = Replica::new(active);
        Self { active, candidate, differences, goes_on, faults_max, faults: 0 }
    }

    /// Whether the candidate has had all the faults it may have.
    pub(crate) fn is_over(&self) -> bool {
        self.faults >= self.faults_max
    }

    /// Has the candidate decide a call, and counts how that differs from what the active generation has decided.
    pub(crate) fn decide(&mut self, recorded: &RecordedCall, decided: &Decision) {
        let compared = recorded.call.as_call().decisions();
        match (self.candidate.call(recorded, &recorded.call.as_call()), &recorded.call) {
            (Ok(decision), _) if decision == *decided => self.differences().compared(compared),
            (Ok(decision), OwnedCall::Inputs(inputs)) => {
                let (before, after) = (by_input(decided), by_input(&decision));
                for (input, (before, after)) in inputs.iter().zip(before.iter().zip(&after)) {
                    if !(self.goes_on)() {
                        return;
                    }
                    if !before.differences(after).is_empty() {
                        self.different(recorded, input, before, after);
                    }
                }
                self.differences().compared(compared);
            }
            (Ok(decision), OwnedCall::Reports(reports)) => {
                let reports = read_reports(reports.bytes(), reports.words());
                let (before, after) = (by_report(decided, reports.len()), by_report(&decision, reports.len()));
                let subjects = reports.iter().map(|report| Subject::Report(report.key)).chain([Subject::Reports]);
                let mut differences = self.differences();
                for (subject, (before, after)) in subjects.zip(before.iter().zip(&after)) {
                    count(&mut differences, subject, before, after);
                }
                differences.compared(compared);
            }
            // Answers are not shadowed.
            (Ok(_), OwnedCall::Answer { .. }) => {}
            (Err(fault), OwnedCall::Inputs(inputs)) => self.faulted(recorded, inputs, &fault),
            (Err(fault), _) => self.fault(Subject::Reports, &fault),
        }
    }

    /// Finds the lines on which a differing input differs.
    fn different(&mut self, recorded: &RecordedCall, input: Input<'_>, before: &Decided<'_>, after: &Decided<'_>) {
        let lines = lines(input);
        if let [] | [_] = *lines {
            let line = lines.first().map_or(input.bytes, |line| line.bytes);
            count(&mut self.differences(), Subject::Line(line), before, after);
            return;
        }
        let mut found = false;
        for line in lines {
            found |= self.line(recorded, line).unwrap_or(false);
            if self.is_over() || !(self.goes_on)() {
                return;
            }
        }
        if found {
            // Lines say how, but the input is one.
            self.differences().different();
        } else {
            count(&mut self.differences(), Subject::Lines(input.bytes), before, after);
        }
    }

    /// Finds the lines on which the candidate faults, and compares the others.
    fn faulted(&mut self, recorded: &RecordedCall, inputs: &InputBatch, fault: &Fault) {
        let mut found = false;
        for input in inputs.iter() {
            let mut differs = false;
            for line in lines(input) {
                match self.line(recorded, line) {
                    Some(different) => differs |= different,
                    None => found = true,
                }
                if self.is_over() || !(self.goes_on)() {
                    return;
                }
            }
            let mut differences = self.differences();
            differences.compared(1);
            if differs {
                differences.different();
            }
        }
        if !found {
            self.fault(Subject::Lines(inputs.bytes()), fault);
        }
    }

    /// Has both decide a line alone, and says whether they differ; nothing if the candidate faults on it.
    fn line(&mut self, recorded: &RecordedCall, line: Input<'_>) -> Option<bool> {
        let alone = InputBatch::from_iter([line]);
        let call = Call::Inputs(&alone);
        let after = match self.candidate.call(recorded, &call) {
            Ok(after) => after,
            Err(fault) => {
                self.fault(Subject::Line(line.bytes), &fault);
                return None;
            }
        };
        // What the active generation stood in company it stands alone; if not, there is nothing to compare with.
        let Ok(before) = self.active.call(recorded.at, &call, &recorded.reads) else { return Some(false) };
        let (before, after) = (by_input(&before), by_input(&after));
        let mut differences = self.differences();
        let mut different = false;
        for (before, after) in before.iter().zip(&after) {
            for difference in before.differences(after) {
                different = true;
                differences.difference(Subject::Line(line.bytes), &difference);
            }
        }
        Some(different)
    }

    fn fault(&mut self, subject: Subject<'_>, fault: &Fault) {
        // The host is at fault, and no other guest would do better.
        if !matches!(fault, Fault::NoInstance(_)) {
            self.faults = self.differences().fault(subject, fault);
        }
    }

    fn differences(&self) -> MutexGuard<'a, Differences> {
        self.differences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A candidate, and the form in which its records are compared.
struct Candidate<'a> {
    generation: &'a Generation,
    replica: Replica<'a>,
    form: u32,
}

impl Candidate<'_> {
    /// Has it decide a call over what another one looked up. What it cannot convert stays as it is, and differs.
    fn call(&mut self, recorded: &RecordedCall, call: &Call<'_>) -> Result<Decision, Fault> {
        let decision = self.replica.call(recorded.at, call, &recorded.reads)?;
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
}

/// Counts an input or a report, if it differs.
fn count(differences: &mut Differences, subject: Subject<'_>, before: &Decided<'_>, after: &Decided<'_>) {
    let found = before.differences(after);
    if !found.is_empty() {
        differences.different();
    }
    for difference in found {
        differences.difference(subject, &difference);
    }
}

/// The lines that a decision is asked for. What is behind the last newline is one only where no more of it comes, and
/// the head of a line that is too long is one whatever it holds.
fn lines(input: Input<'_>) -> Vec<Input<'_>> {
    if input.mark == Mark::Overlong {
        return vec![input];
    }
    let pieces = input.bytes.split_inclusive(|&byte| byte == b'\n');
    let line = |bytes: &'_ [u8]| bytes.ends_with(b"\n") || input.mark == Mark::End;
    // The end of the input is that of its last piece.
    let last = input.bytes.len();
    let mut end = 0;
    let mut lines = Vec::new();
    for bytes in pieces {
        end += bytes.len();
        let mark = if end == last { input.mark } else { Mark::More };
        if line(bytes) {
            lines.push(Input { bytes, mark });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_a_decision_is_asked_for() {
        let told = |bytes: &'static str, mark| {
            let lines = lines(Input { bytes: bytes.as_bytes(), mark });
            lines.into_iter().map(|line| (str::from_utf8(line.bytes).unwrap(), line.mark)).collect::<Vec<_>>()
        };
        assert_eq!(told("a\nb\nc", Mark::More), [("a\n", Mark::More), ("b\n", Mark::More)]);
        assert_eq!(told("a\nb", Mark::End), [("a\n", Mark::More), ("b", Mark::End)]);
        assert_eq!(told("a\nb\n", Mark::End), [("a\n", Mark::More), ("b\n", Mark::End)]);
        assert_eq!(told("a\nb", Mark::Overlong), [("a\nb", Mark::Overlong)]);
        assert_eq!(told("", Mark::More), []);
    }
}
