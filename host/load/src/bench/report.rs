//! Report of a load, for people (`Display`) and for programs (serde).
//!
//! Knows nothing of connections.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::counters::Counters;
use super::load::Load;
use super::plan::Plan;

/// Outcome of a load. The field names are those of the JSON output.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Load that was run.
    pub load: Load,
    /// Answers during measurement.
    pub answers: u64,
    /// Duration of measurement in seconds.
    pub seconds: f64,
    /// Answers per second.
    pub rate: f64,
    /// Answers among these that have another form than their command requires.
    pub wrong: u64,
    /// Answers before measurement, which `answers` does not count.
    pub answers_in_warm_up: u64,
    /// Answers among these that are wrong.
    pub wrong_in_warm_up: u64,
    /// Beginnings of the first wrong answers.
    pub wrong_answers: Vec<String>,
    /// Connections that broke before the end of the load, by server and reason.
    pub broken: BTreeMap<String, u64>,
    /// Latencies in microseconds. Absent without answers.
    pub times_us: Option<Times>,
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
    pub(super) fn of(counters: Counters, plan: &Plan) -> Self {
        let times = &counters.times_ns;
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        let answers = times.len();
        let times_us = (answers > 0).then(|| Times {
            mean: times.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: times.max() as f64 / 1e3,
        });
        let seconds = plan.duration.as_secs_f64();
        Self {
            load: Load::of(plan),
            answers,
            seconds,
            rate: answers as f64 / seconds,
            wrong: counters.wrong,
            answers_in_warm_up: counters.answers_in_warm_up,
            wrong_in_warm_up: counters.wrong_in_warm_up,
            wrong_answers: counters.wrong_answers,
            broken: counters.broken,
            times_us,
        }
    }

    /// Returns true if there were answers, all of them were right, and no connection broke.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.answers > 0 && self.wrong == 0 && self.wrong_in_warm_up == 0 && self.broken.is_empty()
    }
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.load)?;
        writeln!(f, "{} answers in {:.1} s: {:.0} per second", self.answers, self.seconds, self.rate)?;
        match self.times_us {
            Some(Times { mean, p50, p90, p99, p999, max }) => writeln!(
                f,
                "latency in us: mean {mean:.0}, p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0}, p99.9 {p999:.0}, max {max:.0}"
            )?,
            None => writeln!(f, "latency: none, because no answer arrived")?,
        }
        write!(f, "wrong answers: {}", self.wrong)?;
        if self.wrong_in_warm_up > 0 {
            write!(f, " and {} during warm-up", self.wrong_in_warm_up)?;
        }
        write!(f, ", broken connections: {}", self.broken.values().sum::<u64>())?;
        // Escaped, because a wrong answer may contain control sequences of a terminal.
        self.wrong_answers.iter().try_for_each(|answer| write!(f, "\n  wrong: {answer:?}"))?;
        self.broken.iter().try_for_each(|(what, count)| write!(f, "\n  {count} {what}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::commands::{Distribution, Mix};
    use super::super::counters::Answer;
    use super::super::plan::{Loop, Target};
    use super::*;

    fn plan() -> Plan {
        let riley = Target { name: Some("Riley".into()), address: ([127, 0, 0, 1], 15415).into() };
        let other = Target { name: None, address: ([127, 0, 0, 1], 9).into() };
        Plan {
            targets: vec![riley, other],
            connections: 64,
            mode: Loop::Closed { pipeline: 8 },
            connection_per_command: false,
            mix: Mix::default(),
            clients: 100,
            distribution: Distribution::Zipf,
            threads: 1,
            tls: None,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(2),
        }
    }

    const LOAD: &str = "\
load: Riley (127.0.0.1:15415), 127.0.0.1:9
  64 connections from 1 thread(s), 8 command(s) in flight on each
  iamat=100 about 100 clients (zipf), after 1.0 s of warm-up
";

    #[test]
    fn bench_counts_wrong_answers_among_the_answers() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut counters = Counters::new();
        for (ms, is_right) in [(10, false), (20, false), (1000, true), (1001, false)] {
            counters.count(&Answer { from: at(0), bytes: b"? \x1b[2J\n", is_right }, at(ms), at(1000));
        }
        let report = BenchReport::of(counters, &plan());
        assert_eq!((report.answers, report.wrong), (2, 1));
        assert_eq!((report.answers_in_warm_up, report.wrong_in_warm_up), (2, 2));
        assert!(!report.is_clean());
        let text = report.to_string();
        assert!(text.starts_with(LOAD), "{text}");
        assert!(
            text.contains("wrong answers: 1 and 2 during warm-up, broken connections: 0\n  wrong: \"? \\u{1b}[2J\\n\""),
            "{text}"
        );
    }

    #[test]
    fn bench_without_answers_has_no_latencies() {
        let mut counters = Counters::new();
        counters.broken.insert("Riley (127.0.0.1:15415): Connection refused (os error 111)".into(), 64);
        let report = BenchReport::of(counters, &plan());
        let expected = "\
0 answers in 2.0 s: 0 per second
latency: none, because no answer arrived
wrong answers: 0, broken connections: 64
  64 Riley (127.0.0.1:15415): Connection refused (os error 111)";
        assert_eq!(report.to_string(), format!("{LOAD}{expected}"));
        assert_eq!(report.times_us.map(|times| times.p50), None);
        assert!(!report.is_clean());
    }
}
