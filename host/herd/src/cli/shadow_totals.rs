//! What the shadows of several nodes have found, together.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::json_text::text;
use super::table::Table;

/// What the nodes have found, together.
#[derive(Default)]
pub(super) struct ShadowTotals {
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// By command, effect, part, line and field.
    differences: Vec<Finding>,
    /// By kind of fault.
    faults: Vec<Finding>,
}

/// A kind of difference or fault, with how often it was found and the first examples.
struct Finding {
    /// What names it; without count and examples.
    what: BTreeMap<String, Value>,
    count: u64,
    examples: Vec<Value>,
}

impl ShadowTotals {
    pub(super) fn add(&mut self, shadow: &Value) {
        for count in COUNTS.into_iter().chain(["other_differences"]) {
            *self.counts.entry(count).or_default() += shadow[count].as_u64().unwrap_or_default();
        }
        for (kinds, found) in
            [(&mut self.differences, &shadow["differences"]), (&mut self.faults, &shadow["faults_by_kind"])]
        {
            for kind in found.as_array().into_iter().flatten().filter_map(Value::as_object) {
                let is_name = |name: &str| name != "count" && name != "examples";
                let what: BTreeMap<String, Value> = kind
                    .iter()
                    .filter(|(name, _)| is_name(name))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                let index = kinds.iter().position(|known| known.what == what).unwrap_or_else(|| {
                    kinds.push(Finding { what, count: 0, examples: vec![] });
                    kinds.len() - 1
                });
                let known = &mut kinds[index];
                known.count += kind["count"].as_u64().unwrap_or_default();
                known.examples.extend(kind["examples"].as_array().into_iter().flatten().cloned());
                known.examples.truncate(EXAMPLES_MAX);
            }
        }
        self.differences.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    }

    pub(super) fn json(&self) -> Value {
        let kinds = |kinds: &[Finding]| -> Vec<Value> {
            let kind = |kind: &Finding| {
                let mut value = json!(kind.what);
                value["count"] = kind.count.into();
                value["examples"] = kind.examples.clone().into();
                value
            };
            kinds.iter().map(kind).collect()
        };
        let mut value = json!(self.counts);
        value["differences"] = kinds(&self.differences).into();
        value["faults_by_kind"] = kinds(&self.faults).into();
        value
    }

    pub(super) fn print(&self) {
        let mut differences = Table::new(&["command", "effect", "field", "count", "active -> shadow", "on"]);
        for kind in &self.differences {
            let name = |name: &str| kind.what.get(name).map_or(String::new(), text);
            let number = |name: &str| kind.what.get(name).and_then(Value::as_u64);
            let field = match (number("line"), number("field")) {
                (Some(1), Some(field)) => format!("field {field}"),
                (Some(line), Some(field)) => format!("line {line} field {field}"),
                _ => "-".into(),
            };
            let effect = format!("{} {}", name("effect"), name("part")).trim_end().to_string();
            let mut first = [name("command"), effect, field, kind.count.to_string()];
            for example in &kind.examples {
                let side = |side: &str| example[side].as_str().map_or("-".into(), |bytes| format!("\"{bytes}\""));
                let sides = format!("{} -> {}", side("before"), side("after"));
                let row = first.clone().into_iter().chain([sides, format!("\"{}\"", text(&example["input"]))]);
                differences.row(row);
                first = Default::default();
            }
        }
        if !differences.is_empty() {
            say_on!("\n{differences}");
        }
        if let Some(others @ 1..) = self.counts.get("other_differences") {
            say!("and {others} of further kinds");
        }
        let mut faults = Table::new(&["fault", "count", "what", "on"]);
        for kind in &self.faults {
            let mut first = [kind.what.get("kind").map_or(String::new(), text), kind.count.to_string()];
            for example in &kind.examples {
                let row = [text(&example["fault"]), format!("\"{}\"", text(&example["input"]))];
                faults.row(first.clone().into_iter().chain(row));
                first = Default::default();
            }
        }
        if !faults.is_empty() {
            say_on!("\n{faults}");
        }
    }
}

pub(super) const COUNTS: [&str; 4] = ["compared", "skipped", "different", "faults"];
/// Of each kind, of all nodes together.
const EXAMPLES_MAX: usize = 3;
