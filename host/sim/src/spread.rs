//! Spread of reports: when and over which link each reached each node.
//!
//! Owns what a run noted. A node has a report once its vector covers it, and holds it or a later one. Bounds: an entry per report and node.

use std::collections::BTreeMap;

/// Spread of the reports of a run.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    reports: BTreeMap<(usize, u64), SpreadReport>,
    pub(crate) now_ns: u64,
    pub(crate) via: Option<String>,
    /// Reports in frames that arrived, and bytes of all frames.
    pub(crate) copies: u64,
    pub(crate) bytes: u64,
    nodes: Vec<String>,
}

/// Spread of one report.
#[derive(Clone, Debug)]
pub struct SpreadReport {
    /// Key of its record.
    pub key: String,
    /// Node that kept it for a client.
    pub origin: String,
    /// Time in nanoseconds from the start of the run.
    pub kept_ns: u64,
    /// Nodes that then had it, in the order of time.
    pub arrivals: Vec<Arrival>,
}

/// A node has a report, or one that outranks it.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Name of the node.
    pub node: String,
    /// Time in nanoseconds from the start of the run.
    pub at_ns: u64,
    /// Neighbour over whose link it came. None after a restart.
    pub via: Option<String>,
}

/// Figures of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpreadFigures {
    /// Reports that reached all nodes.
    pub reports: usize,
    /// Milliseconds until the last node had a report: of half of the reports, of 99 in 100, and of the slowest.
    pub median_ms: f64,
    /// See `median_ms`.
    pub p99_ms: f64,
    /// See `median_ms`.
    pub max_ms: f64,
    /// Copies that links delivered, for each report.
    pub copies: f64,
    /// Bytes that links delivered, for each report.
    pub bytes: f64,
}

impl Spread {
    pub(crate) fn new(nodes: Vec<String>) -> Self {
        Self { nodes, ..Self::default() }
    }

    pub(crate) fn kept(&mut self, lane: usize, seq: u64, origin: &str, key: &[u8]) {
        let (key, origin) = (String::from_utf8_lossy(key).into_owned(), origin.into());
        let report = SpreadReport { key, origin, kept_ns: self.now_ns, arrivals: Vec::new() };
        self.reports.entry((lane, seq)).or_insert(report);
    }

    pub(crate) fn arrived(&mut self, lane: usize, seq: u64, node: &str) {
        let Some(report) = self.reports.get_mut(&(lane, seq)) else { return };
        if report.origin != node && report.arrivals.iter().all(|arrival| arrival.node != node) {
            report.arrivals.push(Arrival { node: node.into(), at_ns: self.now_ns, via: self.via.clone() });
        }
    }

    /// Returns the names of the nodes.
    #[must_use]
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// Returns the report that took longest to reach all nodes, of one key if one is given. Of those that reached none all, the last one.
    #[must_use]
    pub fn slowest(&self, key: Option<&str>) -> Option<&SpreadReport> {
        let wanted = self.reports.values().filter(|report| key.is_none_or(|key| report.key == key));
        wanted.max_by_key(|report| (report.arrivals.len(), report.took_ns()))
    }

    /// Returns the figures of the run. None if no report reached all nodes.
    #[must_use]
    pub fn figures(&self) -> Option<SpreadFigures> {
        let whole = self.reports.values().filter(|report| report.arrivals.len() + 1 == self.nodes.len());
        let mut took_ns: Vec<u64> = whole.map(SpreadReport::took_ns).collect();
        took_ns.sort_unstable();
        let ms =
            |percent: usize| Some(*took_ns.get(((took_ns.len() * percent) / 100).min(took_ns.len() - 1))? as f64 / 1e6);
        if took_ns.is_empty() {
            return None;
        }
        let each = |count: u64| count as f64 / self.reports.len() as f64;
        let (copies, bytes) = (each(self.copies), each(self.bytes));
        Some(SpreadFigures {
            reports: took_ns.len(),
            median_ms: ms(50)?,
            p99_ms: ms(99)?,
            max_ms: ms(100)?,
            copies,
            bytes,
        })
    }
}

impl SpreadReport {
    /// Returns the nanoseconds until the last node that had it had it.
    #[must_use]
    pub fn took_ns(&self) -> u64 {
        self.arrivals.last().map_or(0, |last| last.at_ns - self.kept_ns)
    }
}
