//! The processes of a herd, one per node, and what they say of themselves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use herd_tests::{Herd, Interposer, Ledger, Operator, Process};
use serde_json::Value;

/// Running nodes of a herd.
pub(crate) struct Nodes<'a> {
    pub(crate) herd: &'a Herd,
    running: BTreeMap<&'a str, Process>,
    /// Connections to the admin API stay open, because rows poll in steps of milliseconds.
    operators: BTreeMap<&'a str, Operator>,
    interposer: Option<&'a Interposer>,
}

impl<'a> Nodes<'a> {
    /// Starts every node of the herd and waits until all links are up.
    pub(crate) fn start(herd: &'a Herd) -> Self {
        Self::start_with(herd, None)
    }

    /// Starts every node of a herd whose nodes have addresses of their own, with connections that start at these.
    pub(crate) fn start_apart(herd: &'a Herd, interposer: &'a Interposer) -> Self {
        Self::start_with(herd, Some(interposer))
    }

    fn start_with(herd: &'a Herd, interposer: Option<&'a Interposer>) -> Self {
        let mut nodes = Self { herd, running: BTreeMap::new(), operators: BTreeMap::new(), interposer };
        nodes.run(&herd.names());
        herd.await_linked(&herd.names());
        nodes.operators = herd.names().into_iter().map(|node| (node, herd.operator(node))).collect();
        nodes
    }

    /// Starts nodes and waits until they accept clients.
    pub(crate) fn run(&mut self, nodes: &[&'a str]) {
        for &node in nodes {
            let address = self.herd.address(node).ip().to_string();
            let variables = self.interposer.map(|interposer| interposer.variables(Some(&address)));
            let process = self.herd.run_with_variables(node, &variables.unwrap_or_default());
            self.running.insert(node, process);
        }
        for &node in nodes {
            self.process(node).await_line(&format!("{node} ready"));
        }
    }

    /// Kills a node with SIGKILL.
    pub(crate) fn kill(&mut self, node: &str) {
        if let Some(mut process) = self.running.remove(node) {
            process.kill();
        }
    }

    /// Process of a node that runs.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub(crate) fn process(&mut self, node: &str) -> &mut Process {
        self.running.get_mut(node).expect("the node runs")
    }

    /// Client addresses of all nodes.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.herd.names().iter().map(|node| self.herd.address(node)).collect()
    }

    /// Status of a node.
    pub(crate) fn status(&self, node: &str) -> Result<Value> {
        self.operators[node].status().with_context(|| format!("status of {node}"))
    }

    /// Waits until all nodes have equal digests, and returns how long that took.
    ///
    /// # Errors
    ///
    /// They have not in time.
    pub(crate) fn await_equal(&self, longest: Duration) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let digests: Vec<String> = self
                .operators
                .values()
                .filter_map(|operator| Some(operator.status().ok()?["records"]["digest"].as_str()?.to_string()))
                .collect();
            let took = began.elapsed();
            if digests.len() == self.operators.len() && digests.windows(2).all(|pair| pair[0] == pair[1]) {
                return Ok(took);
            }
            ensure!(took < longest, "digests differ {longest:?} after: {digests:?}");
            std::thread::sleep(POLL);
        }
    }

    /// Reads ledgers back from every node, and returns clients asked about, those lost, and examples.
    pub(crate) fn read_back(&self, ledgers: &[Ledger]) -> Result<(usize, usize, Vec<String>)> {
        let (mut clients, mut lost, mut examples) = (0, 0, vec![]);
        for node in self.herd.names() {
            for ledger in ledgers {
                if let Some(wrong) = ledger.wrong.first() {
                    bail!("a report was answered with {wrong:?}");
                }
                let found = ledger.read_back(self.herd.address(node)).with_context(|| format!("at {node}"))?;
                (clients, lost) = (clients + found.clients, lost + found.lost);
                examples.extend(found.examples.into_iter().map(|example| format!("{node}: {example}")));
            }
        }
        Ok((clients, lost, examples))
    }
}

/// Sum of all numbers under a key, wherever it is. A counter may be one of the node or one per link.
///
/// # Errors
///
/// The status has no such counter.
pub(crate) fn counter(status: &Value, name: &str) -> Result<u64> {
    fn sum(value: &Value, name: &str, found: &mut Option<u64>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    if let Some(count) = value.as_u64().filter(|_| key == name) {
                        *found = Some(found.unwrap_or(0) + count);
                    }
                    sum(value, name, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| sum(value, name, found)),
            _ => {}
        }
    }
    let mut found = None;
    sum(status, name, &mut found);
    found.with_context(|| format!("no `{name}` in the status of a node"))
}

/// Number at a place in a status.
///
/// # Errors
///
/// The counter is missing.
pub(crate) fn number(status: &Value, place: &str) -> Result<u64> {
    status
        .pointer(place)
        .and_then(Value::as_u64)
        .with_context(|| format!("no number at {place} in the status of a node"))
}

const POLL: Duration = Duration::from_millis(5);
