//! Histogram of counts in buckets whose bounds double.
//!
//! Made for counting while something hot runs: a record is two additions, and reading costs the reader. Quantiles of such buckets are
//! exact to a factor of two. Knows nothing of units. Bound: a fixed number of buckets.

use std::array;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of values. Bucket `i` has the values of at most `FIRST << i`, and the last bucket all above, too.
///
/// ```
/// use herd_sys::Histogram;
///
/// let histogram = Histogram::<1000, 4>::default();
/// [1, 1000, 1001, 1_000_000].map(|value| histogram.record(value));
/// let counts = histogram.counts();
/// assert_eq!((&counts.counts[..], counts.sum), (&[2, 1, 0, 1][..], 1_002_002));
/// assert_eq!(counts.bounds().collect::<Vec<_>>(), [1000, 2000, 4000]);
/// ```
#[derive(Debug)]
pub struct Histogram<const FIRST: u64, const BUCKETS: usize> {
    counts: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

/// Counts of a histogram at one moment, or the sum of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramCounts {
    /// Upper bound of the first bucket. Each next one has twice the bound, and the last has none.
    pub first: u64,
    /// Number of values in each bucket.
    pub counts: Vec<u64>,
    /// Sum of all values.
    pub sum: u64,
}

impl<const FIRST: u64, const BUCKETS: usize> Default for Histogram<FIRST, BUCKETS> {
    fn default() -> Self {
        Self { counts: array::from_fn(|_| AtomicU64::new(0)), sum: AtomicU64::new(0) }
    }
}

impl<const FIRST: u64, const BUCKETS: usize> Histogram<FIRST, BUCKETS> {
    /// Counts a value.
    pub fn record(&self, value: u64) {
        let doublings = value.div_ceil(FIRST).clamp(1, 1 << 63).next_power_of_two().trailing_zeros() as usize;
        self.counts[doublings.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Returns the counts. A value that is being counted meanwhile may be in some of them only.
    #[must_use]
    pub fn counts(&self) -> HistogramCounts {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        HistogramCounts { first: FIRST, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

impl HistogramCounts {
    /// Returns the upper bounds of the buckets but the last.
    pub fn bounds(&self) -> impl Iterator<Item = u64> {
        let first = self.first;
        (1..self.counts.len()).map(move |bucket| first << (bucket - 1))
    }

    /// Returns the number of values.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Adds the counts of a histogram with the same buckets.
impl AddAssign for HistogramCounts {
    fn add_assign(&mut self, other: Self) {
        if self.counts.is_empty() {
            *self = other;
            return;
        }
        self.counts.iter_mut().zip(other.counts).for_each(|(count, other)| *count += other);
        self.sum += other.sum;
    }
}

/// Adds up the histograms of all workers.
impl std::iter::Sum for HistogramCounts {
    fn sum<I: Iterator<Item = Self>>(histograms: I) -> Self {
        histograms.fold(Self::default(), |mut total, counts| {
            total += counts;
            total
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_on_a_bound_is_in_the_bucket_below_it() {
        let histogram = Histogram::<1, 5>::default();
        (0..=9).for_each(|value| histogram.record(value));
        histogram.record(u64::MAX / 2);
        assert_eq!(histogram.counts().counts, [2, 1, 2, 4, 2], "0 to 1, 2, 3 to 4, 5 to 8, above");
    }

    #[test]
    fn histograms_of_all_workers_add_up() {
        let (one, other) = (Histogram::<1, 3>::default(), Histogram::<1, 3>::default());
        for (histogram, value) in [(&one, 1), (&other, 1), (&other, 9)] {
            histogram.record(value);
        }
        let sum: HistogramCounts = [one.counts(), other.counts()].into_iter().sum();
        assert_eq!(sum, HistogramCounts { first: 1, counts: vec![2, 0, 1], sum: 11 });
        assert_eq!(sum.total(), 3);
    }
}
