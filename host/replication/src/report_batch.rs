//! Reports that were encoded, one behind the other in one buffer: on a flood's way nothing is allocated for each.

use crate::wire_report::WireReport;

/// Encoded reports, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportBatch {
    bytes: Vec<u8>,
    /// Where each report ends.
    ends: Vec<usize>,
}

impl ReportBatch {
    /// Encodes a report behind the others.
    ///
    /// # Panics
    ///
    /// Never: a vector takes all, and a report has no failing encoding.
    pub fn add(&mut self, report: &WireReport<'_>) {
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(report, bytes).expect("a vector takes all");
        self.ends.push(self.bytes.len());
    }

    /// Puts a report behind the others that was encoded before.
    pub fn push(&mut self, report: &[u8]) {
        self.bytes.extend_from_slice(report);
        self.ends.push(self.bytes.len());
    }

    /// Puts all of another batch behind this one.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    /// Forgets them, and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many reports there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Their encodings, one behind the other, as the body of a frame has them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoding of each.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| &self.bytes[self.start(index)..self.ends[index]])
    }

    /// Bodies of frames: each of so many bytes and reports at most, and of one report at least.
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
    fn what_is_put_in_comes_out_in_order() {
        let mut all = batch([vec![1], vec![], vec![2, 3]]);
        all.append(batch([vec![4]]));
        assert_eq!(all.iter().collect::<Vec<_>>(), [&[1][..], &[], &[2, 3], &[4]]);
        assert_eq!((all.len(), all.bytes()), (4, &[1, 2, 3, 4][..]));
    }

    #[test]
    fn bodies_hold_every_report_once_and_respect_their_limits() {
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
