//! Batch of encoded reports in one buffer, so that flooding allocates nothing per report.
//!
//! Owns where each report begins and ends, and how a batch is cut into frames. Knows nothing of links.
//!
//! Bounds: none of its own. [`Outbox`](crate::Outbox) bounds the batches that wait, and [`bodies`](ReportBatch::bodies)
//! bounds frames.

use crate::wire_report::WireReport;

/// Encoded reports, in order.
///
/// ```rust
/// use herd_replication::{ReportBatch, WireReport};
///
/// let report = |key| WireReport { key, reign: 0, rank: b"2014", form: 1, record: b"AT", origin: "Riley" };
/// let mut one = ReportBatch::default();
/// one.add(&report(b"kiwi"));
///
/// // Encoded once, a report is copied into the batch of every link.
/// let mut batch = ReportBatch::default();
/// batch.push(one.bytes());
/// batch.push(one.bytes());
/// assert_eq!(batch.len(), 2);
/// // At most one report per frame gives two frames.
/// assert_eq!(batch.bodies(64 << 10, 1).count(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportBatch {
    bytes: Vec<u8>,
    /// End of each report in `bytes`.
    ends: Vec<usize>,
}

impl ReportBatch {
    /// Encodes a report and appends it.
    ///
    /// # Panics
    ///
    /// Never: a vector has room for any encoding, and every report can be encoded.
    #[inline]
    pub fn add(&mut self, report: &WireReport<'_>) {
        // Moved out and back, because postcard appends to a vector that it owns. Nothing is copied.
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(report, bytes)
            .expect("a vector has room for any encoding, and every report can be encoded");
        self.ends.push(self.bytes.len());
    }

    /// Appends an encoded report.
    #[inline]
    pub fn push(&mut self, report: &[u8]) {
        self.bytes.extend_from_slice(report);
        self.ends.push(self.bytes.len());
    }

    /// Appends another batch.
    pub fn append(&mut self, other: Self) {
        // One lane with reports is the usual case; then its buffer is used as it is.
        if self.is_empty() {
            *self = other;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    /// Removes all reports and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Returns whether the batch has no reports.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the number of reports.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns all encodings, one after the other, as in the body of a frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Iterates over the encoding of each report.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| &self.bytes[self.start(index)..self.ends[index]])
    }

    /// Cuts the batch into bodies of frames, each with at most `bytes_max` bytes and `reports_max` reports. A report of more
    /// than `bytes_max` bytes gets a body of its own.
    pub fn bodies(&self, bytes_max: usize, reports_max: usize) -> impl Iterator<Item = &[u8]> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let start = self.start(next);
            let fits = |&&end: &&usize| end - start <= bytes_max;
            let count = self.ends.get(next..)?.iter().take(reports_max).take_while(fits).count().max(1);
            let end = *self.ends.get(next + count - 1)?;
            next += count;
            Some(&self.bytes[start..end])
        })
    }

    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(reports: impl IntoIterator<Item = Vec<u8>>) -> ReportBatch {
        let mut batch = ReportBatch::default();
        reports.into_iter().for_each(|report| batch.push(&report));
        batch
    }

    #[test]
    fn batch_returns_reports_in_the_order_they_were_added() {
        let mut all = batch([vec![1], vec![], vec![2, 3]]);
        all.append(batch([vec![4]]));
        assert_eq!(all.iter().collect::<Vec<_>>(), [&[1][..], &[], &[2, 3], &[4]]);
        assert_eq!((all.len(), all.bytes()), (4, &[1, 2, 3, 4][..]));
    }

    #[test]
    fn bodies_contain_every_report_once_and_respect_their_limits() {
        const MAX: usize = 256 << 10;
        let all = batch((0..40).map(|size| vec![7; size * 2000]));
        let bodies: Vec<&[u8]> = all.bodies(MAX, 512).collect();
        assert_eq!(bodies.concat(), all.bytes());
        assert!(bodies.iter().all(|body| body.len() <= MAX));
        assert_eq!(batch(vec![vec![0; 2 * MAX]; 2]).bodies(MAX, 512).count(), 2);
        assert_eq!(batch(vec![vec![0]; 10]).bodies(MAX, 4).map(<[u8]>::len).collect::<Vec<_>>(), [4, 4, 2]);
        assert_eq!(ReportBatch::default().bodies(MAX, 4).count(), 0);
    }
}
