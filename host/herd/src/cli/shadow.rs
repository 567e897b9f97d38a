//! `herd swap --shadow` and `herd shadow`: what a candidate would have decided in another way, by node and in all.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::nodes::{NodesArgs, say_each};
use super::operate::{ask_each, failures, generation, text};
use super::table::Table;
use crate::config::HerdConfig;
use herd_admin::ShareWish;

/// Arguments of `herd shadow`.
#[derive(Debug, Args)]
pub(super) struct ShadowArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows counts and the first examples: by node, and of all nodes together. Also those of a shadow that is over.
    Report(NodesArgs),
    /// Ends the shadow. Its report stays until the next one.
    Stop(NodesArgs),
}

/// Has a guest shadow.
pub(super) fn begin(
    config: &HerdConfig,
    nodes: &[String],
    guest: &[u8],
    wish: ShareWish,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, nodes, async |client, node| client.shadow(node, guest.to_vec(), wish).await)?;
    say_each(&answers, as_json, ROLE, &format!("decides {} of the calls too", wish.share))
}

/// Shows or ends a shadow.
pub(super) fn shadow(config: &HerdConfig, args: &ShadowArgs) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Report(args) => report(config, &args.node, args.json),
        What::Stop(args) => {
            let answers = ask_each(config, &args.node, async |client, node| client.end_shadow(node).await)?;
            say_each(&answers, args.json, ROLE, "shadows no more; see herd shadow report")
        }
    }
}

/// Shows what shadows have found.
pub(super) fn report(config: &HerdConfig, nodes: &[String], as_json: bool) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, nodes, async |client, node| client.shadow_report(node).await)?;
    let mut all = Sum::default();
    for (_, answer) in &answers {
        if let Ok(answer) = answer {
            all.add(&answer["shadow"]);
        }
    }
    if as_json {
        let nodes = answers.iter().map(|(name, answer)| {
            let value = answer.as_ref().map_or_else(|error| json!({ "error": error.to_string() }), Clone::clone);
            (name.clone(), value)
        });
        let nodes: serde_json::Map<String, Value> = nodes.collect();
        say!("{}", serde_json::to_string_pretty(&json!({ "nodes": nodes, "all": all.json() }))?);
        let answered = answers.iter().all(|(_, answer)| answer.is_ok());
        return Ok(if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut nodes = Table::new(&["node", "guest", "share", "compared", "skipped", "different", "faults", "state"]);
    for (name, answer) in &answers {
        let Ok(answer) = answer else {
            nodes.row([name.as_str(), "down"]);
            continue;
        };
        let shadow = &answer["shadow"];
        if shadow.is_null() {
            nodes.row([name.as_str(), "none"]);
            continue;
        }
        let state = shadow["ended"].as_str().map_or("on".into(), |why| format!("over: {why}"));
        let share = format!("{} %", shadow["share_percent"]);
        let counts = COUNTS.map(|count| text(&shadow[count]));
        nodes.row([name.clone(), generation(&shadow["candidate"]), share].into_iter().chain(counts).chain([state]));
    }
    let counts = COUNTS.map(|count| all.counts.get(count).copied().unwrap_or_default().to_string());
    nodes.row(["all".into(), String::new(), String::new()].into_iter().chain(counts));
    say_on!("{nodes}");
    all.say();
    failures(&answers)
}

/// What the nodes have found, together.
#[derive(Default)]
struct Sum {
    counts: BTreeMap<&'static str, u64>,
    /// By command, effect, part, line and field.
    differences: Vec<Kind>,
    /// By kind of fault.
    faults: Vec<Kind>,
}

/// A kind of difference or fault, with how often it was found and the first examples.
struct Kind {
    /// What names it; without count and examples.
    what: BTreeMap<String, Value>,
    count: u64,
    examples: Vec<Value>,
}

impl Sum {
    fn add(&mut self, shadow: &Value) {
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
                    kinds.push(Kind { what, count: 0, examples: vec![] });
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

    fn json(&self) -> Value {
        let kinds = |kinds: &[Kind]| -> Vec<Value> {
            let kind = |kind: &Kind| {
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

    fn say(&self) {
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

const COUNTS: [&str; 4] = ["compared", "skipped", "different", "faults"];
/// Of each kind, of all nodes together.
const EXAMPLES_MAX: usize = 3;
/// What the answers of nodes call it.
const ROLE: &str = "shadow";
