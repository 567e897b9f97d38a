//! Reports as a guest is shown them: in its own form, and without those that nobody can convert.

use crate::batch::{ReportBatch, read_reports};
use crate::decision::Decision;
use crate::effect::Effect;
use crate::effects::Effects;
use crate::event::Report;

/// Those of a batch that could be converted. What is kept and passed on are the reports as they came.
#[derive(Debug)]
pub struct ConvertedReports {
    batch: ReportBatch,
    /// Which of all the reports each of them is.
    indices: Vec<u32>,
}

impl ConvertedReports {
    /// Has each report that is not in the native form of a guest converted, and leaves out those for which `convert` has
    /// nothing. None if all are in that form as they are.
    #[inline]
    pub fn convert(
        reports: &ReportBatch,
        native: u32,
        convert: impl FnMut(u32, &[u8]) -> Option<Vec<u8>>,
    ) -> Option<Self> {
        if reports.forms().all(|form| form == native) {
            None
        } else {
            Some(Self::convert_each(reports, native, convert))
        }
    }

    /// The reports to show.
    #[must_use]
    pub fn batch(&self) -> &ReportBatch {
        &self.batch
    }

    /// A decision on the reports that were shown, as one on all of them.
    pub fn restore_indices(&self, decision: Decision) -> Decision {
        let index = |converted: u32| self.indices.get(converted as usize).copied().unwrap_or(converted);
        let effects: Effects = decision
            .effects
            .iter()
            .map(|effect| match effect {
                Effect::Refuse(converted) => Effect::Refuse(index(converted)),
                Effect::Publish(mut publish) => {
                    publish.tie = publish.tie.map(index);
                    Effect::Publish(publish)
                }
                other => other,
            })
            .collect();
        Decision { output: decision.output, effects }
    }

    #[cold]
    fn convert_each(
        reports: &ReportBatch,
        native: u32,
        mut convert: impl FnMut(u32, &[u8]) -> Option<Vec<u8>>,
    ) -> Self {
        let mut converted = Self { batch: ReportBatch::default(), indices: Vec::with_capacity(reports.len()) };
        for (index, report) in (0..).zip(read_reports(reports.bytes(), reports.words())) {
            if report.form == native {
                converted.batch.push(&report);
            } else {
                let Some(bytes) = convert(report.form, report.bytes) else { continue };
                converted.batch.push(&Report { form: native, bytes: &bytes, ..report });
            }
            converted.indices.push(index);
        }
        converted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Publish;

    fn batch(reports: &[(u32, &'static [u8])]) -> ReportBatch {
        let report = |&(form, bytes)| Report { key: b"k", rank: b"\xff", form, bytes, origin: b"Riley" };
        let reports: Vec<_> = reports.iter().map(report).collect();
        reports.iter().collect()
    }

    fn converted(reports: &[(u32, &'static [u8])]) -> Option<ConvertedReports> {
        let louder = |form, bytes: &[u8]| (form == 1).then(|| bytes.to_ascii_uppercase());
        ConvertedReports::convert(&batch(reports), 2, louder)
    }

    #[test]
    fn what_is_in_the_form_of_the_guest_is_shown_as_it_is() {
        assert!(converted(&[(2, b"a"), (2, b"b")]).is_none());
        assert!(converted(&[]).is_none());
    }

    #[test]
    fn what_is_not_is_converted_or_left_out() {
        let converted = converted(&[(9, b"a"), (1, b"b"), (2, b"c")]).unwrap();
        let reports = read_reports(converted.batch().bytes(), converted.batch().words());
        assert_eq!(
            reports.iter().map(|report| (report.form, report.bytes)).collect::<Vec<_>>(),
            [(2, &b"B"[..]), (2, b"c")]
        );
        assert!(reports.iter().all(|report| (report.key, report.rank, report.origin) == (b"k", b"\xff", b"Riley")));
    }

    #[test]
    fn what_is_decided_is_of_the_report_it_means_although_others_were_left_out() {
        let converted = converted(&[(9, b"a"), (1, b"b"), (9, b"c"), (2, b"d")]).unwrap();
        let mut decision = Decision::default();
        let bytes = decision.copy(b"topic");
        let publish = |tie| Effect::Publish(Publish { topic: bytes, bytes, tie });
        decision.effects.extend([Effect::Refuse(0), publish(Some(1)), publish(None)]);
        let decision = converted.restore_indices(decision);
        let effects: Vec<_> = decision.effects.iter().collect();
        assert_eq!(effects, [Effect::Refuse(1), publish(Some(3)), publish(None)]);
    }
}
