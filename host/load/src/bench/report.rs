//! Report of a load, and the counters that it is made of.
//!
//! Bound: a histogram has a fixed size; broken connections are counted by reason.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Counters of one thread.
pub(super) struct Counters {
    /// Latencies in nanoseconds, to three digits.
    pub(super) times_ns: Histogram<u64>,
    pub(super) wrong: u64,
    pub(super) broken: BTreeMap<String, u64>,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self { times_ns: histogram(), wrong: 0, broken: BTreeMap::new() }
    }

    /// Counts an answer that arrived at `now` to a command whose latency counts from `from`, unless it is warm-up.
    pub(super) fn count(&mut self, now: Instant, from: Instant, measure_from: Instant) {
        if now >= measure_from {
            let time_ns = u64::try_from(now.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX);
            self.times_ns.saturating_record(time_ns.max(1));
        }
    }

    /// Adds the counters of another thread.
    pub(super) fn add(&mut self, other: Self) {
        // Cannot fail, because both histograms have the same bounds.
        let _ = self.times_ns.add(&other.times_ns);
        self.wrong += other.wrong;
        for (what, count) in other.broken {
            *self.broken.entry(what).or_default() += count;
        }
    }
}

/// Creates a histogram from 100 ns to one minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 60_000_000_000, 3).unwrap_or_else(|_| unreachable!("these bounds are valid"))
}

/// Outcome of a load. The field names are those of the JSON output.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Answers during measurement.
    pub answers: u64,
    /// Duration of measurement in seconds.
    pub seconds: f64,
    /// Answers per second.
    pub rate: f64,
    /// Answers of another form than their command requires.
    pub wrong: u64,
    /// Connections that broke before the end of the load, by reason.
    pub broken: BTreeMap<String, u64>,
    /// Latencies in microseconds.
    pub times_us: Times,
}

/// Distribution of latencies, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Maximum.
    pub max: f64,
}

impl BenchReport {
    #[allow(clippy::cast_precision_loss, reason = "a rate and times for people")]
    pub(super) fn of(counters: Counters, seconds: f64) -> Self {
        let times = &counters.times_ns;
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        let times_us = Times {
            mean: times.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: times.max() as f64 / 1e3,
        };
        let answers = times.len();
        let rate = answers as f64 / seconds;
        Self { answers, seconds, rate, wrong: counters.wrong, broken: counters.broken, times_us }
    }

    /// Returns true if there were answers, all of them were right, and no connection broke.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.answers > 0 && self.wrong == 0 && self.broken.is_empty()
    }
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} answers in {:.1} s: {:.0} per second", self.answers, self.seconds, self.rate)?;
        let Times { mean, p50, p90, p99, p999, max } = self.times_us;
        writeln!(
            f,
            "latency in us: mean {mean:.0}, p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0}, p99.9 {p999:.0}, max {max:.0}"
        )?;
        write!(f, "wrong answers: {}, broken connections: {}", self.wrong, self.broken.values().sum::<u64>())?;
        self.broken.iter().try_for_each(|(what, count)| write!(f, "\n  {count} {what}"))
    }
}
