//! Totals of the shadow reports of several nodes.
//!
//! Adds counts and merges findings of the same kind. Knows nothing of how nodes compare. Bounds: a node reports a limited
//! number of kinds, and [`EXAMPLES_MAX`] examples are kept of each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::json_text::text;
use super::table::Table;

/// Sum of shadow reports.
#[derive(Default)]
pub(super) struct ShadowTotals {
    counts: BTreeMap<&'static str, u64>,
    /// By command, effect, part, line and field; most frequent first.
    differences: Vec<Finding>,
    /// By kind of fault.
    faults: Vec<Finding>,
}

/// Kind of difference or fault, with its count and its first examples.
struct Finding {
    /// Fields that identify the kind.
    kind: BTreeMap<String, Value>,
    count: u64,
    examples: Vec<Value>,
}

impl ShadowTotals {
    /// Adds the report of a node.
    pub(super) fn add(&mut self, shadow: &Value) {
        for count in COUNTS.into_iter().chain([FURTHER]) {
            *self.counts.entry(count).or_default() += shadow[count].as_u64().unwrap_or_default();
        }
        merge(&mut self.differences, &shadow["differences"]);
        merge(&mut self.faults, &shadow["faults_by_kind"]);
        self.differences.sort_by_key(|finding| std::cmp::Reverse(finding.count));
    }

    /// Returns one of [`COUNTS`].
    pub(super) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Returns the totals in the format of the report of a node.
    pub(super) fn json(&self) -> Value {
        let mut value = json!(self.counts);
        value["differences"] = self.differences.iter().map(Finding::json).collect();
        value["faults_by_kind"] = self.faults.iter().map(Finding::json).collect();
        value
    }

    /// Prints a table of differences and one of faults, if there are any.
    pub(super) fn print(&self) {
        let mut differences = Table::new(&["command", "effect", "field", "count", "active -> shadow", "input"]);
        for finding in &self.differences {
            let name = |name: &str| finding.kind.get(name).map_or(String::new(), text);
            let number = |name: &str| finding.kind.get(name).and_then(Value::as_u64);
            let field = match (number("line"), number("field")) {
                (Some(1), Some(field)) => format!("field {field}"),
                (Some(line), Some(field)) => format!("line {line} field {field}"),
                _ => "-".into(),
            };
            let effect = format!("{} {}", name("effect"), name("part")).trim_end().to_string();
            // Only the first example repeats the kind; the cells of the others stay empty.
            let mut kind = [name("command"), effect, field, finding.count.to_string()];
            for example in &finding.examples {
                let side = |side: &str| example[side].as_str().map_or("-".into(), |bytes| format!("\"{bytes}\""));
                let sides = format!("{} -> {}", side("before"), side("after"));
                differences.row(kind.into_iter().chain([sides, format!("\"{}\"", text(&example["input"]))]));
                kind = Default::default();
            }
        }
        if !differences.is_empty() {
            say_on!("\n{differences}");
        }
        if let others @ 1.. = self.count(FURTHER) {
            say!("and {others} of further kinds");
        }
        let mut faults = Table::new(&["fault", "count", "message", "input"]);
        for finding in &self.faults {
            let mut kind = [finding.kind.get("kind").map_or(String::new(), text), finding.count.to_string()];
            for example in &finding.examples {
                let row = [text(&example["fault"]), format!("\"{}\"", text(&example["input"]))];
                faults.row(kind.into_iter().chain(row));
                kind = Default::default();
            }
        }
        if !faults.is_empty() {
            say_on!("\n{faults}");
        }
    }
}

impl Finding {
    fn json(&self) -> Value {
        let mut value = json!(self.kind);
        value["count"] = self.count.into();
        value["examples"] = self.examples.clone().into();
        value
    }
}

/// Adds the findings of a node to those of the same kind.
fn merge(findings: &mut Vec<Finding>, reported: &Value) {
    for report in reported.as_array().into_iter().flatten().filter_map(Value::as_object) {
        let identifies = |name: &str| name != "count" && name != "examples";
        let fields = report.iter().filter(|(name, _)| identifies(name));
        let kind: BTreeMap<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
        let index = findings.iter().position(|known| known.kind == kind).unwrap_or_else(|| {
            findings.push(Finding { kind, count: 0, examples: vec![] });
            findings.len() - 1
        });
        let finding = &mut findings[index];
        finding.count += report["count"].as_u64().unwrap_or_default();
        finding.examples.extend(report["examples"].as_array().into_iter().flatten().cloned());
        finding.examples.truncate(EXAMPLES_MAX);
    }
}

/// Counts of a report, in the order of their columns.
pub(super) const COUNTS: [&str; 4] = ["compared", "skipped", "different", "faults"];
/// Count of differences beyond the kinds that a node keeps.
const FURTHER: &str = "other_differences";
/// Examples kept of each kind, of all nodes together.
const EXAMPLES_MAX: usize = 3;
