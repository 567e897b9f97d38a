//! Writer of metric families, over the encoder of `prometheus-client`.
//!
//! A family is written with all its samples at once, because both formats want that. Owns no metric.

use std::fmt;

use herd_sys::HistogramCounts;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// Writer of families.
pub(super) struct Families<'a, 'b>(pub(super) &'a mut DescriptorEncoder<'b>);

/// Labels of a sample, besides that of the node.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl Families<'_, '_> {
    /// Writes a counter, whose name gets `_total`.
    pub(super) fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l, N>, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        samples.into_iter().try_for_each(|(labels, value)| {
            // A count that fits is written as one.
            let mut sample = family.encode_family(&labels)?;
            match exact(value) {
                Some(count) => sample.encode_counter::<NoLabelSet, u64, f64>(&count, None),
                None => sample.encode_counter::<NoLabelSet, f64, f64>(&value, None),
            }
        })
    }

    /// Writes a gauge.
    pub(super) fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l, N>, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        samples.into_iter().try_for_each(|(labels, value)| {
            let mut sample = family.encode_family(&labels)?;
            match exact(value) {
                Some(count) => sample.encode_gauge(&count),
                None => sample.encode_gauge(&value),
            }
        })
    }

    /// Writes a counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, [([], value as f64)])
    }

    /// Writes a gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.gauges(name, help, [([], value)])
    }

    /// Writes histograms. A unit is `per_unit` of what was counted; the name gets the unit at its end.
    pub(super) fn histograms<'l, const N: usize>(
        &mut self,
        (name, unit, per_unit): (&str, Option<Unit>, f64),
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l, N>, HistogramCounts)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        samples
            .into_iter()
            .try_for_each(|(labels, counts)| histogram(family.encode_family(&labels)?, &counts, per_unit))
    }
}

fn histogram(mut sample: MetricEncoder<'_>, counts: &HistogramCounts, per_unit: f64) -> fmt::Result {
    let bounds = counts.bounds().map(|bound| bound as f64 / per_unit).chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts.counts.iter().copied()).collect();
    sample.encode_histogram::<NoLabelSet>(counts.sum as f64 / per_unit, counts.total(), &buckets, None)
}

/// Returns a count as a whole number, if it is one that a float holds exactly.
fn exact(value: f64) -> Option<u64> {
    (value >= 0.0 && value.fract() == 0.0 && value < EXACT_MAX).then_some(value as u64)
}

const EXACT_MAX: f64 = (1_u64 << 53) as f64;
