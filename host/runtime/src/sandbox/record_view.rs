//! The form in which an instance sees records and reports.
//!
//! The sandbox knows only this trait: who converts, and on which other instance, is the concern of `forms`.

use herd_sdk::converted::ConvertedReports;
use herd_sdk::{Found, ReportBatch};

use crate::forms::budget::Patience;

/// A view of records in the native form of one guest.
pub(crate) trait RecordView: Send + Sync {
    /// The form that the guest reads and writes.
    fn native(&self) -> u32;

    /// Shows a record in the native form. None if nobody can convert it: then its key is unknown to the guest.
    fn convert(&self, found: Found, patience: &mut Patience) -> Option<Found>;

    /// Shows reports in the native form. None if all are in it already, which is the usual case.
    fn convert_reports(&self, reports: &ReportBatch) -> Option<ConvertedReports>;
}

/// A view that converts nothing and shows the first form only.
pub(crate) struct FirstFormOnly;

impl RecordView for FirstFormOnly {
    fn native(&self) -> u32 {
        herd_sdk::forms::FIRST_FORM
    }

    fn convert(&self, found: Found, _: &mut Patience) -> Option<Found> {
        (found.form == self.native()).then_some(found)
    }

    fn convert_reports(&self, reports: &ReportBatch) -> Option<ConvertedReports> {
        ConvertedReports::convert(reports, self.native(), |_, _| None)
    }
}
