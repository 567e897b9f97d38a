//! Body of a frame of reports, as it travels.
//!
//! Owns the decoding of a whole frame. Knows nothing of links: the length of a body is bounded by the link's frames, and
//! the contents are checked by ingest.

use bytes::Bytes;

use crate::stamp::LaneId;
use crate::varint::{Malformed, Reader};
use crate::wire_report::WireReport;

/// Encoded reports of one frame, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFrame(pub(crate) Bytes);

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

    /// Decodes the reports, in the order in which they were sent. They borrow from the frame. `lane` translates the sender's lane
    /// numbers.
    ///
    /// # Errors
    ///
    /// The body is malformed. The peer is at fault and the caller closes the link.
    pub fn reports(&self, lane: impl Fn(u32) -> Option<LaneId>) -> Result<Vec<WireReport<'_>>, Malformed> {
        let mut reader = Reader(&self.0);
        let mut reports = Vec::new();
        while !reader.is_empty() {
            reports.push(WireReport::read(&mut reader, &lane)?);
        }
        Ok(reports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_frame_travels_as_its_body() {
        assert_eq!(ReportFrame::new(Bytes::from_static(b"body")).bytes(), b"body");
    }
}
