//! Model of `herd top`: what is known of each node of the herd, from the answers so far.
//!
//! Pure: answers go in, rows come out. Knows neither how nodes are asked nor how rows are shown. Bound: two samples a node.

use serde_json::Value;

use super::node_row::{Latest, NodeRow, State};
use super::rates::Rates;
use super::sample::Sample;
use super::sort::Sort;

/// Nodes of a herd, in the order of the configuration.
#[derive(Debug)]
pub(super) struct HerdModel {
    pub(super) herd: String,
    pub(super) nodes: Vec<Node>,
}

/// A node, as far as it has answered.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) state: State,
    /// Last sample, also of a node that does not answer any more.
    pub(super) sample: Option<Sample>,
    /// Rates between the last two samples. `None` of a node that does not answer, and before its second answer.
    pub(super) rates: Option<Rates>,
    /// Faults that need a person, a line each.
    pub(super) alerts: Vec<String>,
}

impl HerdModel {
    /// Creates a model of these nodes, of which nothing is known yet.
    pub(super) fn new(herd: &str, names: &[String]) -> Self {
        let node = |name: &String| Node {
            name: name.clone(),
            state: State::Asked,
            sample: None,
            rates: None,
            alerts: Vec::new(),
        };
        Self { herd: herd.into(), nodes: names.iter().map(node).collect() }
    }

    /// Takes the status of the node with this index.
    pub(super) fn answered(&mut self, node: usize, status: Value, alerts: Vec<String>) {
        let node = &mut self.nodes[node];
        let sample = Sample::read(status);
        node.rates = node.sample.as_ref().and_then(|before| Rates::between(before, &sample));
        node.sample = Some(sample);
        node.state = State::Up;
        node.alerts = alerts;
    }

    /// Notes that the node with this index gave no status.
    pub(super) fn missed(&mut self, node: usize, word: &str, why: &str) {
        let node = &mut self.nodes[node];
        node.state = State::Missing { word: word.into(), why: why.into() };
        node.rates = None;
        node.alerts.clear();
    }

    /// Returns a row for each node, in this order.
    pub(super) fn rows(&self, sort: Sort) -> Vec<NodeRow> {
        let mut rows: Vec<NodeRow> = self.nodes.iter().map(Node::row).collect();
        rows.sort_by(|one, other| sort.compare(one, other));
        rows
    }

    /// Returns the node of this name.
    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Returns the names and statuses of the nodes that answer.
    pub(super) fn statuses(&self) -> Vec<(&str, &Value)> {
        let up = self.nodes.iter().filter(|node| node.state == State::Up);
        up.filter_map(|node| Some((node.name.as_str(), &node.sample.as_ref()?.status))).collect()
    }

    /// Returns lines about nodes that do not answer, and about faults that need a person.
    pub(super) fn troubles(&self) -> Vec<String> {
        let missing = self.nodes.iter().filter_map(|node| match &node.state {
            State::Missing { word, why } => Some(format!("{} {word}: {why}", node.name)),
            State::Asked | State::Up => None,
        });
        missing.chain(self.nodes.iter().flat_map(|node| node.alerts.iter().cloned())).collect()
    }
}

impl Node {
    fn row(&self) -> NodeRow {
        let sample = self.sample.as_ref().filter(|_| self.state == State::Up);
        let rates = self.rates.as_ref();
        NodeRow {
            name: self.name.clone(),
            state: self.state.clone(),
            lines: rates.map(Rates::lines),
            reports: rates.map(|rates| rates.reports),
            decisions_of_call: rates.and_then(|rates| rates.decisions_of_call),
            p50_ns: rates.and_then(|rates| rates.quantile_ns(0.5)),
            p99_ns: rates.and_then(|rates| rates.quantile_ns(0.99)),
            latest: sample.map(|sample| Latest {
                sessions: sample.sessions,
                records: sample.records,
                faults: sample.faults(),
                generation: sample.generation.clone(),
                links: sample.links,
                links_up: sample.links_up,
                uptime_s: sample.uptime_ms.map(|uptime_ms| uptime_ms / 1_000),
                guest: sample.text("/generations/active/name"),
                version: sample.text("/version"),
            }),
        }
    }
}
