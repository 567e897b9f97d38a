//! The body of a frame of reports, as it travels.

use bytes::Bytes;

use crate::report_batch::ReportBatch;
use crate::wire_report::WireReport;

/// The body of a frame of reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFrame(Bytes);

impl ReportFrame {
    /// Wraps the body of a frame. It is decoded, and may turn out malformed, in [`reports`](Self::reports).
    #[must_use]
    pub fn new(body: Bytes) -> Self {
        Self(body)
    }

    /// The body, as it travels.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&ReportBatch> for ReportFrame {
    fn from(reports: &ReportBatch) -> Self {
        Self(Bytes::copy_from_slice(reports.bytes()))
    }
}

impl ReportFrame {
    /// Its reports, in the order they were sent.
    ///
    /// # Errors
    ///
    /// The peer sent something else; the link is to be closed.
    pub fn reports(&self) -> Result<Vec<WireReport<'_>>, postcard::Error> {
        let mut rest: &[u8] = &self.0;
        let mut reports = Vec::new();
        while !rest.is_empty() {
            let (report, behind) = postcard::take_from_bytes(rest)?;
            reports.push(report);
            rest = behind;
        }
        Ok(reports)
    }
}
