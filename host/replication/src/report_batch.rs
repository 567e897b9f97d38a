//! Batch of encoded items in one buffer, so that flooding allocates nothing per report.
//!
//! Owns where each report begins and ends, and how a batch is cut into frames. Knows nothing of links.
//!
//! Bounds: none of its own. The outbox bounds the batches that wait, and `into_bodies`
//! bounds frames.

use bytes::Bytes;

/// Encoded items, in order. An item is one report, or several that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReportBatch {
    bytes: Vec<u8>,
    /// End of each item in `bytes`.
    ends: Vec<usize>,
}

impl ReportBatch {
    /// Appends an item.
    #[inline]
    pub(crate) fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.ends.push(self.bytes.len());
    }

    /// Appends another batch.
    pub(crate) fn append(&mut self, other: Self) {
        // One lane with reports is the usual case; then its buffer is used as it is.
        if self.is_empty() {
            *self = other;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    /// Returns the items that `stays` accepts.
    pub(crate) fn filtered(&self, mut stays: impl FnMut(&[u8]) -> bool) -> Self {
        let mut filtered = Self::default();
        self.iter().filter(|item| stays(item)).for_each(|item| filtered.push(item));
        filtered
    }

    /// Returns whether the batch has no items.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the number of items.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns all encodings, one after the other, as in the body of a frame.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Iterates over the encoding of each item.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| &self.bytes[self.start(index)..self.ends[index]])
    }

    /// Cuts the batch into bodies of frames, each with at most `bytes_max` bytes and `items_max` items. An item of more
    /// than `bytes_max` bytes gets a body of its own. Nothing is copied.
    pub(crate) fn into_bodies(self, bytes_max: usize, items_max: usize) -> impl Iterator<Item = Bytes> {
        let Self { bytes, ends } = self;
        let (bytes, mut start, mut next) = (Bytes::from(bytes), 0, 0);
        std::iter::from_fn(move || {
            let fits = |&&end: &&usize| end - start <= bytes_max;
            let count = ends.get(next..)?.iter().take(items_max).take_while(fits).count().max(1);
            let end = *ends.get(next + count - 1)?;
            let body = bytes.slice(start..end);
            (start, next) = (end, next + count);
            Some(body)
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
        let bodies: Vec<Bytes> = all.clone().into_bodies(MAX, 512).collect();
        assert_eq!(bodies.concat(), all.bytes());
        assert!(bodies.iter().all(|body| body.len() <= MAX));
        assert_eq!(batch(vec![vec![0; 2 * MAX]; 2]).into_bodies(MAX, 512).count(), 2);
        assert_eq!(batch(vec![vec![0]; 10]).into_bodies(MAX, 4).map(|body| body.len()).collect::<Vec<_>>(), [4, 4, 2]);
        let of_bytes = |bytes_max| batch(vec![vec![0, 0]; 10]).into_bodies(bytes_max, 512).map(|body| body.len());
        assert_eq!(of_bytes(8).collect::<Vec<_>>(), [8, 8, 4]);
        assert_eq!(of_bytes(7).collect::<Vec<_>>(), [6, 6, 6, 2]);
        assert_eq!(ReportBatch::default().into_bodies(MAX, 4).count(), 0);
    }
}
