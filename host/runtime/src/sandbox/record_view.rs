//! The native form of a guest, in which an instance sees every record and report.
//!
//! The sandbox knows only this trait; `forms` decides which guest converts and on which instance. Bounds: those of the
//! implementation.

use herd_sdk::converted::ConvertedReports;
use herd_sdk::{Found, ReportBatch};

use crate::forms::budget::ConversionBudget;

/// Converts records to the native form of one guest.
pub(crate) trait RecordView: Send + Sync {
    /// Returns the form that the guest reads and writes.
    fn native(&self) -> u32;

    /// Converts a record to the native form. None if no guest can: then the key is unknown to this one.
    fn convert(&self, found: Found, budget: &mut ConversionBudget) -> Option<Found>;

    /// Converts reports to the native form. None if all are in it already, which is the usual case.
    fn convert_reports(&self, reports: &ReportBatch) -> Option<ConvertedReports>;
}

/// A view without conversions: records of other forms than the first are unknown.
pub(crate) struct FirstFormOnly;

impl RecordView for FirstFormOnly {
    fn native(&self) -> u32 {
        herd_sdk::forms::FIRST_FORM
    }

    fn convert(&self, found: Found, _: &mut ConversionBudget) -> Option<Found> {
        (found.form == self.native()).then_some(found)
    }

    fn convert_reports(&self, reports: &ReportBatch) -> Option<ConvertedReports> {
        ConvertedReports::convert(reports, self.native(), |_, _| None)
    }
}
