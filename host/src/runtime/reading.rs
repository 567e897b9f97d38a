//! How a generation reads records and reports that are in another form than its own: converted for the call, and for the
//! call only. What is kept, recorded and flooded stays as it was written.
//!
//! First the generation's own `upgrade` is asked; then the `downgrade` of whichever generation here writes that form.
//! What neither can convert is not shown: a record as if its key were unknown, a report not at all, and it is kept and
//! passed on without a word from the guest, so that older logic in the middle of a herd stops no flood.
//!
//! What is in the form of the generation costs one comparison.
//!
//! Bounds: [`FAULTS_PER_CALL_MAX`] conversions that fault, per call of a guest.

use std::sync::Arc;

use herd_sdk::batch::read_reports;
use herd_sdk::{Decision, Effect, Effects, Found, Report, ReportBatch};

use super::converter::{Conversion, Converter, NotConverted};
use super::forms::{FIRST_FORM, Forms};

/// How one generation reads.
pub(super) struct Reading {
    native: u32,
    /// What the generation converts with, if it can.
    own: Option<Arc<Converter>>,
    forms: Arc<Forms>,
    counts: Counts,
}

/// Whether what is not shown is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// Somebody asked.
    ForTheNode,
    /// It is a call made again, whose outcome nobody sees.
    ForNobody,
}

/// How many more conversions may fault in one call.
#[derive(Debug)]
pub(super) struct Patience(u32);

/// Reports as a guest is shown them, where that is not as they are.
pub(super) struct ShownReports {
    /// Those that could be converted.
    pub(super) batch: ReportBatch,
    /// Which of all the reports each of them is.
    indices: Vec<u32>,
}

impl Reading {
    /// Reads as a generation with this converter, or with none.
    pub(super) fn new(own: Option<Converter>) -> Self {
        let native = own.as_ref().map_or(FIRST_FORM, Converter::native);
        Self { native, own: own.map(Arc::new), forms: Arc::default(), counts: Counts::ForTheNode }
    }

    /// The same, with the help of other generations.
    pub(super) fn among(&self, forms: &Arc<Forms>) -> Self {
        Self { native: self.native, own: self.own.clone(), forms: Arc::clone(forms), counts: self.counts }
    }

    /// The same, for calls that are made again.
    pub(super) fn uncounted(&self) -> Self {
        Self { counts: Counts::ForNobody, ..self.among(&self.forms) }
    }

    /// The form that the generation reads and writes.
    pub(super) fn native(&self) -> u32 {
        self.native
    }

    /// What the generation converts with, if it can.
    pub(super) fn converter(&self) -> Option<&Arc<Converter>> {
        self.own.as_ref()
    }

    /// A record as the guest is shown it.
    #[inline]
    pub(super) fn show(&self, found: Found, patience: &mut Patience) -> Option<Found> {
        if found.form == self.native {
            return Some(found);
        }
        let bytes = self.convert(found.form, &found.bytes, patience)?;
        Some(Found { rank: found.rank, form: self.native, bytes })
    }

    /// Reports as the guest is shown them; none if it is shown them as they are.
    #[inline]
    pub(super) fn show_reports(&self, reports: &ReportBatch) -> Option<ShownReports> {
        if reports.forms().all(|form| form == self.native) {
            return None;
        }
        let mut patience = Patience::default();
        let mut shown = ShownReports { batch: ReportBatch::default(), indices: Vec::with_capacity(reports.len()) };
        for (index, report) in (0..).zip(read_reports(reports.bytes(), reports.words())) {
            let converted = if report.form == self.native {
                Some(None)
            } else {
                self.convert(report.form, report.bytes, &mut patience).map(Some)
            };
            let Some(converted) = converted else { continue };
            let bytes = converted.as_deref().unwrap_or(report.bytes);
            shown.batch.push(&Report { form: self.native, bytes, ..report });
            shown.indices.push(index);
        }
        Some(shown)
    }

    #[cold]
    fn convert(&self, form: u32, bytes: &[u8], patience: &mut Patience) -> Option<Vec<u8>> {
        let own = self.own.iter().cloned().map(|own| (own, Conversion::Upgrade { from: form, bytes }));
        let others = self.forms.of_writers(form);
        let others = others.map(|other| (other, Conversion::Downgrade { to: self.native, bytes }));
        for (converter, conversion) in own.chain(others) {
            if patience.is_over() {
                break;
            }
            match converter.convert(conversion) {
                Ok(converted) => return Some(converted),
                // Whoever knows the form has said that these bytes are not of it.
                Err(NotConverted::Malformed) => break,
                Err(NotConverted::UnknownForm | NotConverted::TooLong(_)) => {}
                Err(NotConverted::Fault(fault)) => {
                    tracing::debug!(form, native = self.native, %fault, "a conversion faulted");
                    patience.0 -= 1;
                }
            }
        }
        if self.counts == Counts::ForTheNode {
            self.forms.count_unconvertible(form, self.native);
        }
        None
    }
}

/// Reads the first form, and converts nothing.
impl Default for Reading {
    fn default() -> Self {
        Self::new(None)
    }
}

impl ShownReports {
    /// A decision on the reports that were shown, as one on all of them.
    pub(super) fn of_all(&self, decision: Decision) -> Decision {
        let index = |shown: u32| self.indices.get(shown as usize).copied().unwrap_or(shown);
        let mut effects = Effects::default();
        effects.extend(decision.effects.iter().map(|effect| match effect {
            Effect::Refuse(shown) => Effect::Refuse(index(shown)),
            Effect::Publish(mut publish) => {
                publish.tie = publish.tie.map(index);
                Effect::Publish(publish)
            }
            other => other,
        }));
        Decision { output: decision.output, effects }
    }
}

impl Patience {
    fn is_over(&self) -> bool {
        self.0 == 0
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self(FAULTS_PER_CALL_MAX)
    }
}

/// Each may take a deadline, and the worker's sessions wait. A call that finds so many goes on as if the rest could not be
/// converted.
const FAULTS_PER_CALL_MAX: u32 = 4;
