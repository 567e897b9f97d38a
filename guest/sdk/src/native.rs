//! A guest without wasm: what a transcript, a benchmark or a simulator needs of a decider, and the one that
//! calls a [`Logic`] directly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::batch::{InputBatch, ReportBatch, read_reports};
use crate::context::{Context, Records};
use crate::converted::ConvertedReports;
use crate::effect::{Decision, Effect};
use crate::event::{Found, Input, Moment, Outcome, Report, Reports};
use crate::forms::{FIRST_FORM, Forms, Unconvertible};
use crate::logic::Logic;

/// Why a decider did not decide, in words.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Whoever decides events: the native logic, or a component.
pub trait Decider {
    /// Decides inputs of several sessions. See [`Logic::input`].
    ///
    /// # Errors
    ///
    /// The guest is at fault; nothing was decided.
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault>;

    /// Decides the input of one session.
    ///
    /// # Errors
    ///
    /// The guest is at fault; nothing was decided.
    fn input(&mut self, at: Moment, input: Input<'_>) -> Result<Decision, Fault> {
        self.inputs(at, &InputBatch::from_iter([input]))
    }

    /// See [`Logic::reports`].
    ///
    /// # Errors
    ///
    /// The guest is at fault; nothing was decided.
    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Fault>;

    /// See [`Logic::answer`].
    ///
    /// # Errors
    ///
    /// The guest is at fault; nothing was decided.
    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Fault>;
}

/// Decides with a [`Logic`] that is linked in.
pub struct Native<L> {
    logic: L,
    records: Arc<MemoryRecords>,
    known: KnownForms,
}

/// What a logic knows of forms.
#[derive(Clone, Copy)]
struct KnownForms {
    native: u32,
    upgrade: fn(u32, &[u8]) -> Result<Vec<u8>, Unconvertible>,
}

impl<L: Logic> Native<L> {
    /// Decides with `logic` over `records`. As on a node, it is shown those of the first form and no others, unless it
    /// is [`converting`](Self::converting).
    pub fn new(logic: L, records: Arc<MemoryRecords>) -> Self {
        let upgrade = |_, _: &[u8]| Err(Unconvertible::UnknownForm);
        Self { logic, records, known: KnownForms { native: FIRST_FORM, upgrade } }
    }

    fn records(&self) -> InItsForm<'_> {
        InItsForm { records: &self.records, known: self.known }
    }

    fn decide_reports(&self, at: Moment, reports: Reports<'_>) -> Decision {
        let records = self.records();
        let mut context = Context::new(at, &records);
        self.logic.reports(reports, &mut context);
        context.finish()
    }
}

impl<L: Logic + Forms> Native<L> {
    /// The same, which is shown records and reports in its own form.
    #[must_use]
    pub fn converting(self) -> Self {
        Self { known: KnownForms { native: L::NATIVE, upgrade: L::upgrade }, ..self }
    }
}

impl<L: Logic> Decider for Native<L> {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault> {
        Ok(Context::decide_inputs(at, &self.records(), &self.logic, inputs.iter(), inputs.bytes().len()))
    }

    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Fault> {
        let batch: ReportBatch = reports.iter().collect();
        let convert = |form, bytes: &[u8]| (self.known.upgrade)(form, bytes).ok();
        let Some(converted) = ConvertedReports::convert(&batch, self.known.native, convert) else {
            return Ok(self.decide_reports(at, reports));
        };
        let reports = read_reports(converted.batch().bytes(), converted.batch().words());
        Ok(converted.restore_indices(self.decide_reports(at, &reports)))
    }

    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Fault> {
        let records = self.records();
        let mut context = Context::new(at, &records);
        self.logic.answer(token, otherwise, outcome, &mut context);
        Ok(context.finish())
    }
}

/// Records as a logic is shown them.
struct InItsForm<'a> {
    records: &'a MemoryRecords,
    known: KnownForms,
}

impl Records for InItsForm<'_> {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let KnownForms { native, upgrade } = self.known;
        let show = |found: Found| {
            if found.form == native {
                return Some(found);
            }
            Some(Found { bytes: upgrade(found.form, &found.bytes).ok()?, form: native, ..found })
        };
        self.records.find(keys).into_iter().map(|found| found.and_then(show)).collect()
    }
}

/// Records in memory, ranked as a node ranks them, for tests: without shards, reigns or limits.
#[derive(Debug, Default)]
pub struct MemoryRecords {
    kept: Mutex<HashMap<Vec<u8>, Found>>,
}

impl MemoryRecords {
    /// Keeps what a decision says, each record if it wins.
    pub fn apply(&self, decision: &Decision) {
        for effect in decision.effects.iter() {
            if let Effect::Keep(keep) = effect {
                let found = Found {
                    rank: decision.bytes(keep.rank).to_vec(),
                    form: keep.form,
                    bytes: decision.bytes(keep.bytes).to_vec(),
                };
                self.keep(decision.bytes(keep.key), found);
            }
        }
    }

    /// Keeps a report if it wins.
    pub fn apply_report(&self, report: &Report<'_>) {
        let found = Found { rank: report.rank.to_vec(), form: report.form, bytes: report.bytes.to_vec() };
        self.keep(report.key, found);
    }

    /// Whether a report would win.
    pub fn is_news(&self, report: &Report<'_>) -> bool {
        let kept = self.find(&[report.key]).into_iter().next().flatten();
        kept.is_none_or(|kept| (&*kept.rank, &*kept.bytes) < (report.rank, report.bytes))
    }

    fn keep(&self, key: &[u8], found: Found) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match kept.get(key) {
            Some(old) if (&old.rank, &old.bytes) >= (&found.rank, &found.bytes) => {}
            _ => {
                kept.insert(key.to_vec(), found);
            }
        }
    }
}

impl Records for MemoryRecords {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys.iter().map(|&key| kept.get(key).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Progress;
    use crate::logic::{BadSetting, Description, Settings};

    /// Answers each line with the record under it, and refuses reports that do not shout.
    struct Shouting;

    impl Logic for Shouting {
        fn describe() -> Description {
            Description::default()
        }

        fn configure(_: &Settings) -> Result<Self, BadSetting> {
            Ok(Self)
        }

        fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
            input.lines(|line| {
                let found = context.record(line).map_or_else(|| b"nothing".to_vec(), |found| found.bytes);
                context.reply(&found);
            })
        }

        fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
            for (index, report) in reports.iter().enumerate() {
                if report.bytes.iter().any(u8::is_ascii_lowercase) {
                    context.refuse(index);
                }
            }
        }
    }

    impl Forms for Shouting {
        const NATIVE: u32 = 2;

        fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
            if from == 1 { Ok(bytes.to_ascii_uppercase()) } else { Err(Unconvertible::UnknownForm) }
        }
    }

    #[test]
    fn a_logic_that_knows_forms_is_shown_its_own() {
        let records = Arc::new(MemoryRecords::default());
        let report = |key, form, bytes| Report { key, rank: b"\xff", form, bytes, origin: b"Riley" };
        let reports = [
            report(b"old", 1, b"here"),
            report(b"odd", 9, b"there"),
            report(b"own", 2, b"I WAS HERE"),
            report(b"bad", 2, b"whisper"),
        ];
        reports.iter().for_each(|report| records.apply_report(report));
        let mut decider = Native::new(Shouting, Arc::clone(&records)).converting();
        let decision = decider.reports(Moment::default(), &reports).unwrap();
        assert_eq!(decision.effects.iter().collect::<Vec<_>>(), [Effect::Refuse(3)]);
        let mut found = |key: &str| {
            let input = Input { bytes: key.as_bytes(), mark: crate::event::Mark::More };
            String::from_utf8(decider.input(Moment::default(), input).unwrap().output).unwrap()
        };
        assert_eq!([found("old\n"), found("odd\n"), found("own\n")], ["HERE", "nothing", "I WAS HERE"]);
    }
}
