//! Rates of a node, from two samples.
//!
//! The time between them is that of the node's own clock, so a slow network changes no rate. Knows nothing of the screen.

use std::collections::BTreeMap;

use herd_sys::HistogramCounts;

use super::sample::{Decided, Sample};

/// Rates between two samples, each in a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// Lines of clients, by command.
    pub(super) lines: BTreeMap<String, f64>,
    pub(super) inputs: f64,
    pub(super) reports: f64,
    pub(super) answers: f64,
    /// Calls of the guest that ended between the samples, by their time.
    pub(super) calls: HistogramCounts,
    /// Mean number of decisions in a call. `None` without a call.
    pub(super) decisions_of_call: Option<f64>,
    /// Bytes sent on each link, by peer.
    pub(super) sent_bytes: BTreeMap<String, f64>,
}

impl Rates {
    /// Returns the rates between two samples of a node. `None` if it was started anew meanwhile, or tells no counts.
    ///
    /// Missing are decisions that a generation made after the earlier sample and before it retired: nobody knows them any more.
    pub(super) fn between(before: &Sample, after: &Sample) -> Option<Self> {
        if before.started_ms != after.started_ms {
            return None;
        }
        let elapsed_ms = after.uptime_ms?.checked_sub(before.uptime_ms?).filter(|&elapsed_ms| elapsed_ms > 0)?;
        let per_second = |count: u64| count as f64 * 1e3 / elapsed_ms as f64;
        let mut sum = Decided::default();
        let none = Decided::default();
        for (id, counts) in &after.decided {
            // A generation that was not there decided all of its calls since.
            sum.add_difference(before.decided.get(id).unwrap_or(&none), counts);
        }
        let decisions = sum.inputs + sum.reports + sum.answers;
        let calls = sum.calls.total();
        Some(Self {
            lines: sum.lines.iter().map(|(command, &count)| (command.clone(), per_second(count))).collect(),
            inputs: per_second(sum.inputs),
            reports: per_second(sum.reports),
            answers: per_second(sum.answers),
            decisions_of_call: (calls > 0).then(|| decisions as f64 / calls as f64),
            calls: sum.calls,
            sent_bytes: sent_bytes(after)
                .map(|(peer, sent)| {
                    let earlier = sent_bytes(before).find(|(other, _)| *other == peer).map_or(0, |(_, sent)| sent);
                    // Begins again with the link.
                    (peer.to_string(), per_second(sent.checked_sub(earlier).unwrap_or(sent)))
                })
                .collect(),
        })
    }

    /// Returns the rate of lines of all commands.
    pub(super) fn lines(&self) -> f64 {
        self.lines.values().sum()
    }

    /// Returns the time within which this share of the calls ended, in nanoseconds. `None` without a call.
    ///
    /// Interpolates within a bucket as `histogram_quantile` of Prometheus does, so a dashboard shows the same.
    pub(super) fn quantile_ns(&self, share: f64) -> Option<f64> {
        let total = self.calls.total();
        if total == 0 {
            return None;
        }
        let rank = share * total as f64;
        let (mut below, mut lower) = (0, 0);
        for (upper, &count) in self.calls.bounds().zip(&self.calls.counts) {
            if count > 0 && (below + count) as f64 >= rank {
                let within = (rank - below as f64).max(0.0) / count as f64;
                return Some(lower as f64 + (upper - lower) as f64 * within);
            }
            (below, lower) = (below + count, upper);
        }
        // In the bucket without a bound: all that is known is that it took longer.
        Some(lower as f64)
    }
}

impl Decided {
    fn add_difference(&mut self, before: &Self, after: &Self) {
        self.inputs += after.inputs.saturating_sub(before.inputs);
        self.reports += after.reports.saturating_sub(before.reports);
        self.answers += after.answers.saturating_sub(before.answers);
        for (command, &count) in &after.lines {
            let earlier = before.lines.get(command).copied().unwrap_or_default();
            *self.lines.entry(command.clone()).or_default() += count.saturating_sub(earlier);
        }
        let mut calls = after.calls.clone();
        calls
            .counts
            .iter_mut()
            .zip(&before.calls.counts)
            .for_each(|(count, before)| *count = count.saturating_sub(*before));
        calls.sum = calls.sum.saturating_sub(before.calls.sum);
        self.calls += calls;
    }
}

fn sent_bytes(sample: &Sample) -> impl Iterator<Item = (&str, u64)> {
    let links = sample.status["links"].as_array().into_iter().flatten();
    links.filter_map(|link| Some((link["peer"].as_str()?, link["bytes_sent"].as_u64()?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(uptime_ms: u64, generations: &[(u64, u64, [u64; 4])]) -> Sample {
        let generations: Vec<_> = generations
            .iter()
            .map(|(id, lines, counts)| {
                json!({ "id": id, "inputs": lines, "reports": 10, "answers": 0, "lines": { "IAMAT": lines, "other": 1 },
                    "call_ns": { "first": 1000, "counts": counts, "sum": 5 } })
            })
            .collect();
        Sample::read(
            json!({ "process": { "started_ms": 7 }, "decisions": { "uptime_ms": uptime_ms, "generations": generations },
            "links": [{ "peer": "Jaquez", "state": "up", "bytes_sent": uptime_ms }] }),
        )
    }

    #[test]
    fn top_computes_rates_over_the_clock_of_the_node() {
        let rates =
            Rates::between(&sample(1_000, &[(1, 100, [1, 0, 0, 0])]), &sample(3_000, &[(1, 500, [5, 0, 0, 0])]))
                .unwrap();
        assert_eq!((rates.lines(), rates.inputs, rates.reports), (200.0, 200.0, 0.0));
        assert_eq!(rates.decisions_of_call, Some(100.0));
        assert_eq!(rates.sent_bytes["Jaquez"], 1_000.0);
    }

    #[test]
    fn top_counts_a_new_generation_from_its_start_and_no_restart() {
        let before = sample(1_000, &[(1, 100, [0; 4])]);
        let swapped = sample(2_000, &[(1, 110, [0; 4]), (2, 40, [0; 4])]);
        // Also a line that is counted as another command.
        assert_eq!(Rates::between(&before, &swapped).unwrap().lines(), 51.0);
        let retired = sample(2_000, &[(2, 40, [0; 4])]);
        assert_eq!(Rates::between(&before, &retired).unwrap().lines(), 41.0);
        let mut restarted = sample(9_000, &[(1, 5, [0; 4])]);
        restarted.started_ms = 8;
        assert_eq!(Rates::between(&before, &restarted), None);
        assert_eq!(Rates::between(&before, &before), None);
        assert_eq!(Rates::between(&before, &Sample::read(json!({ "process": { "started_ms": 7 } }))), None);
    }

    #[test]
    fn top_interpolates_quantiles_as_prometheus_does() {
        let of =
            |counts: [u64; 4]| Rates::between(&sample(1, &[(1, 0, [0; 4])]), &sample(2, &[(1, 0, counts)])).unwrap();
        let even = of([10, 10, 0, 0]);
        assert_eq!(even.quantile_ns(0.5), Some(1_000.0));
        assert_eq!(even.quantile_ns(0.75), Some(1_500.0));
        assert_eq!(of([0, 0, 100, 0]).quantile_ns(0.5), Some(3_000.0));
        assert_eq!(of([0, 0, 0, 1]).quantile_ns(0.99), Some(4_000.0));
        assert_eq!(of([0; 4]).quantile_ns(0.5), None);
    }
}
