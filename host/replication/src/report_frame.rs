//! Body of a frame of reports, as it travels.
//!
//! Owns the decoding of a whole frame. Knows nothing of links: the length of a body is bounded by the link's frames, and
//! the contents are checked by ingest.

use bytes::Bytes;

use crate::report_batch::ReportBatch;
use crate::wire_report::WireReport;

/// Encoded reports of one frame, one after the other.
///
/// ```rust
/// use herd_replication::{ReportBatch, ReportFrame, WireReport};
///
/// let report = WireReport { key: b"kiwi", reign: 0, rank: b"2014", form: 1, record: b"AT", origin: "Riley" };
/// let mut batch = ReportBatch::default();
/// batch.add(&report);
/// let frame = ReportFrame::from(&batch);
/// assert_eq!(frame.reports()?, [report]);
/// # Ok::<(), postcard::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFrame(Bytes);

impl ReportFrame {
    /// Wraps the body of a frame. [`reports`](Self::reports) decodes it and finds whether it is malformed.
    #[must_use]
    pub fn new(body: Bytes) -> Self {
        Self(body)
    }

    /// Returns the body as it travels.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Decodes the reports, in the order in which they were sent. They borrow from the frame.
    ///
    /// # Errors
    ///
    /// The body is malformed. The peer is at fault and the caller closes the link.
    pub fn reports(&self) -> Result<Vec<WireReport<'_>>, postcard::Error> {
        let mut rest: &[u8] = &self.0;
        let mut reports = Vec::new();
        while !rest.is_empty() {
            let (report, remaining) = postcard::take_from_bytes(rest)?;
            reports.push(report);
            rest = remaining;
        }
        Ok(reports)
    }
}

impl From<&ReportBatch> for ReportFrame {
    fn from(reports: &ReportBatch) -> Self {
        Self(Bytes::copy_from_slice(reports.bytes()))
    }
}
