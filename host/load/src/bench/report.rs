//! What a load found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What one thread counts.
pub(super) struct Counters {
    /// Times in nanoseconds, to three digits.
    pub(super) times_ns: Histogram<u64>,
    pub(super) wrong: u64,
    pub(super) broken: BTreeMap<String, u64>,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self { times_ns: histogram(), wrong: 0, broken: BTreeMap::new() }
    }

    /// An answer came now to a command whose time counts from then.
    pub(super) fn count(&mut self, now: Instant, from: Instant, measure_from: Instant) {
        if now >= measure_from {
            let time_ns = u64::try_from(now.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX);
            self.times_ns.saturating_record(time_ns.max(1));
        }
    }

    /// Adds what another thread counted.
    pub(super) fn add(&mut self, other: Self) {
        // The bounds of both are the same, so nothing can be out of range.
        let _ = self.times_ns.add(&other.times_ns);
        self.wrong += other.wrong;
        for (what, count) in other.broken {
            *self.broken.entry(what).or_default() += count;
        }
    }
}

/// One microsecond to one minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 60_000_000_000, 3).unwrap_or_else(|_| unreachable!("these bounds are valid"))
}

/// What a load found.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Answers that came while it was measured.
    pub answers: u64,
    /// Seconds of measuring.
    pub seconds: f64,
    /// Answers a second.
    pub rate: f64,
    /// Answers that were not of the kind they had to be.
    pub wrong: u64,
    /// Connections that ended before the load, by reason.
    pub broken: BTreeMap<String, u64>,
    /// Times in microseconds.
    pub times_us: Times,
}

/// A distribution of times, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// The mean.
    pub mean: f64,
    /// Half took less.
    pub p50: f64,
    /// Nine in ten took less.
    pub p90: f64,
    /// 99 in a hundred took less.
    pub p99: f64,
    /// 999 in a thousand took less.
    pub p999: f64,
    /// The longest.
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

    /// Every answer was right and no connection broke.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.answers > 0 && self.wrong == 0 && self.broken.is_empty()
    }
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} answers in {:.1} s: {:.0} a second", self.answers, self.seconds, self.rate)?;
        let Times { mean, p50, p90, p99, p999, max } = self.times_us;
        writeln!(
            f,
            "times in us: mean {mean:.0}, p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0}, p99.9 {p999:.0}, max {max:.0}"
        )?;
        write!(f, "wrong answers: {}, broken connections: {}", self.wrong, self.broken.values().sum::<u64>())?;
        self.broken.iter().try_for_each(|(what, count)| write!(f, "\n  {count} {what}"))
    }
}
