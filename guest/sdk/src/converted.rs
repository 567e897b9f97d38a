//! Conversion of a batch of reports to the form of a guest.
//!
//! Owns the mapping between the converted batch and the original one. It must not know how a record is converted. It is as
//! large as the batch.

use crate::batch::{ReportBatch, read_reports};
use crate::decision::Decision;
use crate::effect::Effect;
use crate::effects::Effects;
use crate::event::Report;

/// Reports of a batch in the native form of a guest, without those that cannot be converted.
///
/// Only the guest sees them. A node keeps and forwards the reports in their original form.
#[derive(Debug)]
pub struct ConvertedReports {
    batch: ReportBatch,
    /// Index in the original batch of each converted report.
    indices: Vec<u32>,
}

impl ConvertedReports {
    /// Converts the reports that are not in the native form of a guest, and omits those for which `convert` returns none.
    /// Returns none if all reports have the native form already.
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

    /// Returns the reports for the guest.
    #[must_use]
    pub fn batch(&self) -> &ReportBatch {
        &self.batch
    }

    /// Converts a decision on the converted reports to one on the original batch, by restoring the indices of its reports.
    pub fn restore_indices(&self, decision: Decision) -> Decision {
        let original = |index: u32| self.indices.get(index as usize).copied().unwrap_or(index);
        // Of the effects allowed in a call on reports, only these two refer to a report.
        let effects: Effects = decision
            .effects
            .iter()
            .map(|effect| match effect {
                Effect::Refuse(index) => Effect::Refuse(original(index)),
                Effect::Publish(mut publish) => {
                    publish.tie = publish.tie.map(original);
                    Effect::Publish(publish)
                }
                other => other,
            })
            .collect();
        Decision { output: decision.output, effects }
    }

    /// Cold: all reports have the native form except around a swap to another one.
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
    fn conversion_is_skipped_for_the_native_form() {
        assert!(converted(&[(2, b"a"), (2, b"b")]).is_none());
        assert!(converted(&[]).is_none());
    }

    #[test]
    fn conversion_converts_or_omits_other_forms() {
        let converted = converted(&[(9, b"a"), (1, b"b"), (2, b"c")]).unwrap();
        let reports = read_reports(converted.batch().bytes(), converted.batch().words());
        assert_eq!(
            reports.iter().map(|report| (report.form, report.bytes)).collect::<Vec<_>>(),
            [(2, &b"B"[..]), (2, b"c")]
        );
        assert!(reports.iter().all(|report| (report.key, report.rank, report.origin) == (b"k", b"\xff", b"Riley")));
    }

    #[test]
    fn restore_indices_refers_to_the_original_batch() {
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
