//! Guests without wasm: the [`Decider`] trait, and one that calls a [`Logic`] directly.
//!
//! For transcripts, tests, benchmarks and simulators. Owns records in memory, ranked as on a node. It must not know
//! components, sockets or clocks. Nothing bounds a call or the records, so it must not serve clients.

mod decider;
mod memory_records;

use std::sync::Arc;

use crate::batch::{InputBatch, ReportBatch, read_reports};
use crate::context::Context;
use crate::converted::ConvertedReports;
use crate::decide_inputs::decide_inputs;
use crate::decision::Decision;
use crate::event::{Found, Moment, Outcome, Reports};
use crate::forms::{FIRST_FORM, Forms, Unconvertible};
use crate::logic::Logic;
use crate::records::Records;

pub use decider::{Decider, Fault};
pub use memory_records::MemoryRecords;

/// [`Decider`] that calls a [`Logic`] linked into the same binary.
pub struct Native<L> {
    logic: L,
    records: Arc<MemoryRecords>,
    known: KnownForms,
}

/// Native form of a logic and its conversion to it. Function pointers, so that [`Native`] needs no bound on [`Forms`].
#[derive(Clone, Copy)]
struct KnownForms {
    native: u32,
    upgrade: fn(u32, &[u8]) -> Result<Vec<u8>, Unconvertible>,
}

impl<L: Logic> Native<L> {
    /// Creates a decider over `records`. As on a node, the logic sees records of the first form only, unless it is
    /// [`converting`](Self::converting).
    pub fn new(logic: L, records: Arc<MemoryRecords>) -> Self {
        let upgrade = |_, _: &[u8]| Err(Unconvertible::UnknownForm);
        Self { logic, records, known: KnownForms { native: FIRST_FORM, upgrade } }
    }

    fn records(&self) -> NativeView<'_> {
        NativeView { records: &self.records, known: self.known }
    }

    fn decide_reports(&self, at: Moment, reports: Reports<'_>) -> Decision {
        let records = self.records();
        let mut context = Context::new(at, &records);
        self.logic.reports(reports, &mut context);
        context.finish()
    }
}

impl<L: Logic + Forms> Native<L> {
    /// Converts records and reports to the logic's own form before it sees them.
    #[must_use]
    pub fn converting(self) -> Self {
        Self { known: KnownForms { native: L::NATIVE, upgrade: L::upgrade }, ..self }
    }
}

impl<L: Logic> Decider for Native<L> {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault> {
        Ok(decide_inputs(at, &self.records(), &self.logic, inputs.iter(), inputs.bytes().len()))
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

/// View of records in the native form of a logic. Hides those that it cannot convert.
struct NativeView<'a> {
    records: &'a MemoryRecords,
    known: KnownForms,
}

impl Records for NativeView<'_> {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let KnownForms { native, upgrade } = self.known;
        let view = |found: Found| {
            if found.form == native {
                return Some(found);
            }
            Some(Found { bytes: upgrade(found.form, &found.bytes).ok()?, form: native, ..found })
        };
        self.records.find(keys).into_iter().map(|found| found.and_then(view)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;
    use crate::event::{Input, Progress, Report};
    use crate::logic::{BadSetting, Description, Settings};

    /// Replies to each line with the record under that key, and refuses reports with lower-case letters.
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
    fn converting_shows_records_and_reports_in_the_native_form() {
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
