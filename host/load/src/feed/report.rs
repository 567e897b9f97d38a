//! Report of a feed: counts and times, for people (`Display`) and for programs (serde).
//!
//! Knows nothing of connections. Bounds: [`WRONG_ANSWERS_KEPT_MAX`] examples of wrong answers; the samples of a node are reduced
//! to three numbers.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

/// Outcome of a feed. The field names are those of the JSON output.
#[derive(Debug, Serialize)]
pub struct FeedReport {
    /// Client id of the reports.
    pub client: String,
    /// Node that received the reports.
    pub to: String,
    /// Duration of the replay in seconds.
    pub seconds: f64,
    /// Reports sent.
    pub sent: u64,
    /// Reports answered with exactly the fields sent.
    pub accepted: u64,
    /// Reports with any other answer.
    pub wrong: u64,
    /// First wrong answers, truncated.
    pub wrong_answers: Vec<String>,
    /// Reports of the nodes, in the order in which they were given.
    pub nodes: Vec<NodeReport>,
}

/// Visibility of the accepted reports at one node.
#[derive(Debug, Serialize)]
pub struct NodeReport {
    /// Name of the node.
    pub node: String,
    /// Reports shown in time.
    pub visible: u64,
    /// Reports not shown in time.
    pub missed: u64,
    /// Median time from the answer to a report until this node showed it, in milliseconds. It includes the round trip of one
    /// poll. Absent if the node showed no report.
    pub p50_ms: Option<f64>,
    /// 99th percentile of these times, in milliseconds.
    pub p99_ms: Option<f64>,
    /// Longest of these times, in milliseconds.
    pub max_ms: Option<f64>,
    /// Last error of the connection to the node, if any.
    pub failure: Option<String>,
}

impl FeedReport {
    pub(super) fn new(client: &str, to: &str) -> Self {
        FeedReport {
            client: client.to_owned(),
            to: to.to_owned(),
            seconds: 0.0,
            sent: 0,
            accepted: 0,
            wrong: 0,
            wrong_answers: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Returns true if every answer was right and every node showed every accepted report.
    pub fn is_success(&self) -> bool {
        self.wrong == 0 && self.nodes.iter().all(|node| node.missed == 0)
    }

    pub(super) fn add_wrong(&mut self, answer: String) {
        self.wrong += 1;
        if self.wrong_answers.len() < WRONG_ANSWERS_KEPT_MAX {
            self.wrong_answers.push(answer.chars().take(WRONG_ANSWER_CHARS_MAX).collect());
        }
    }
}

impl NodeReport {
    /// Creates a report. `seen_after` has one time for each of the `accepted` reports that the node showed.
    pub(super) fn new(node: String, accepted: u64, mut seen_after: Vec<Duration>, failure: Option<String>) -> Self {
        seen_after.sort_unstable();
        let visible = seen_after.len() as u64;
        NodeReport {
            node,
            visible,
            missed: accepted.saturating_sub(visible),
            p50_ms: percentile_ms(&seen_after, 50),
            p99_ms: percentile_ms(&seen_after, 99),
            max_ms: percentile_ms(&seen_after, 100),
            failure,
        }
    }
}

impl Display for FeedReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let FeedReport { client, to, seconds, sent, accepted, wrong, .. } = self;
        writeln!(f, "{client}: {sent} reports to {to} in {seconds:.1} s, {accepted} accepted, {wrong} wrong")?;
        for answer in &self.wrong_answers {
            // Escaped, because an unexpected answer may contain control sequences of a terminal.
            writeln!(f, "  wrong: {answer:?}")?;
        }
        let names = self.nodes.iter().map(|node| node.node.chars().count());
        let width = names.max().unwrap_or(0).max("node".len());
        write!(
            f,
            "\n{:width$}  {:>8}  {:>8}  {:>10}  {:>10}  {:>10}",
            "node", "visible", "missed", "p50 ms", "p99 ms", "max ms"
        )?;
        for node in &self.nodes {
            let NodeReport { node: name, visible, missed, .. } = node;
            let [p50, p99, max] = [node.p50_ms, node.p99_ms, node.max_ms]
                .map(|ms| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.3}")));
            write!(f, "\n{name:width$}  {visible:>8}  {missed:>8}  {p50:>10}  {p99:>10}  {max:>10}")?;
            if let Some(failure) = &node.failure {
                write!(f, "  {failure}")?;
            }
        }
        Ok(())
    }
}

/// Returns the nearest-rank percentile of sorted times: the smallest that at least `percent` in a hundred do not exceed.
fn percentile_ms(sorted: &[Duration], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).map(|time| time.as_nanos() as f64 / 1e6)
}

/// Examples of wrong answers, enough to see a pattern.
const WRONG_ANSWERS_KEPT_MAX: usize = 5;

/// Characters of a wrong answer: two lines of a terminal. A right answer has about 90.
const WRONG_ANSWER_CHARS_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let of = |percent| percentile_ms(&times, percent);
        assert_eq!([of(50), of(99), of(100)], [Some(100.0), Some(198.0), Some(200.0)]);
        assert_eq!(percentile_ms(&times[..1], 50), Some(1.0));
        assert_eq!(percentile_ms(&[], 100), None);
    }

    #[test]
    fn report_is_printed_as_an_aligned_table() {
        let mut report = FeedReport::new("kiwi", "Riley");
        (report.sent, report.accepted, report.seconds) = (3, 2, 1.25);
        report.add_wrong("? \u{1b}[2J".into());
        let seen = vec![Duration::from_micros(1500), Duration::from_micros(250)];
        report.nodes = vec![
            NodeReport::new("Riley".into(), 2, seen, None),
            NodeReport::new("Campbell".into(), 2, vec![], Some("cannot connect to 127.0.0.1:9".into())),
        ];
        let expected = "\
kiwi: 3 reports to Riley in 1.2 s, 2 accepted, 1 wrong
  wrong: \"? \\u{1b}[2J\"

node       visible    missed      p50 ms      p99 ms      max ms
Riley            2         0       0.250       1.500       1.500
Campbell         0         2           -           -           -  cannot connect to 127.0.0.1:9";
        assert_eq!(report.to_string(), expected);
        assert!(!report.is_success());
    }
}
