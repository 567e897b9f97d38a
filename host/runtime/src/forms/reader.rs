//! How a generation reads records and reports that are in another form than its own: converted for the call, and for the
//! call only. What is kept, recorded and flooded stays as it was written.
//!
//! First the generation's own `upgrade` is asked; then the `downgrade` of whichever generation here writes that form.
//! What neither can convert is not shown: a record as if its key were unknown, a report not at all, and it is kept and
//! passed on without a word from the guest, so that older logic in the middle of a herd stops no flood.
//!
//! What is in the form of the generation costs one comparison.
//!
//! Bounds: the time that conversions take which fault, per call of a guest ([`Patience`]).

use std::iter;
use std::sync::Arc;

use herd_sdk::converted::ConvertedReports;
use herd_sdk::forms::FIRST_FORM;
use herd_sdk::{Found, ReportBatch};

use crate::forms::budget::Patience;
use crate::forms::conversion::{Conversion, NotConverted};
use crate::forms::converter::Converter;
use crate::forms::registry::Forms;
use crate::sandbox::record_view::RecordView;

/// How one generation reads.
pub(crate) struct Reading {
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

impl Reading {
    /// Reads as a generation with this converter, or with none.
    pub(crate) fn new(own: Option<Converter>) -> Self {
        let native = own.as_ref().map_or(FIRST_FORM, Converter::native);
        Self { native, own: own.map(Arc::new), forms: Arc::default(), counts: Counts::ForTheNode }
    }

    /// The same, with the help of other generations.
    pub(crate) fn among(&self, forms: &Arc<Forms>) -> Self {
        Self { native: self.native, own: self.own.clone(), forms: Arc::clone(forms), counts: self.counts }
    }

    /// The same, for calls that are made again.
    pub(crate) fn uncounted(&self) -> Self {
        Self { counts: Counts::ForNobody, ..self.among(&self.forms) }
    }

    /// What the generation converts with, if it can.
    pub(crate) fn converter(&self) -> Option<&Arc<Converter>> {
        self.own.as_ref()
    }

    #[cold]
    fn convert(&self, form: u32, bytes: &[u8], patience: &mut Patience) -> Option<Vec<u8>> {
        let own = self.own.iter().cloned().map(|own| (own, Conversion::Upgrade { from: form, bytes }));
        // Asked only if the generation itself does not know.
        let others = iter::once_with(|| self.forms.of_writers(form)).flatten();
        let others = others.map(|other| (other, Conversion::Downgrade { to: self.native, bytes }));
        let mut why = NotConverted::UnknownForm;
        for (converter, conversion) in own.chain(others) {
            match converter.convert(conversion, patience) {
                Ok(converted) => return Some(converted),
                Err(NotConverted::UnknownForm) => {}
                // Whoever knows the form has said that these bytes are not of it.
                Err(malformed @ NotConverted::Malformed) => {
                    why = malformed;
                    break;
                }
                Err(other) => why = other,
            }
        }
        if self.counts == Counts::ForTheNode {
            self.forms.count_unconvertible(form, self.native, &why);
        }
        None
    }
}

impl RecordView for Reading {
    fn native(&self) -> u32 {
        self.native
    }

    fn convert(&self, found: Found, patience: &mut Patience) -> Option<Found> {
        if found.form == self.native {
            return Some(found);
        }
        let bytes = self.convert(found.form, &found.bytes, patience)?;
        Some(Found { rank: found.rank, form: self.native, bytes })
    }

    fn convert_reports(&self, reports: &ReportBatch) -> Option<ConvertedReports> {
        let mut patience = Patience::default();
        ConvertedReports::convert(reports, self.native, |form, bytes| self.convert(form, bytes, &mut patience))
    }
}

/// Reads the first form, and converts nothing.
impl Default for Reading {
    fn default() -> Self {
        Self::new(None)
    }
}
