//! `herd status`: a table of nodes, a table of links, and faults that need a person.
//!
//! Detects faults that need the view of several nodes or of the configuration; the others come from the nodes. Texts of
//! other operators are sanitized.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use herd_audit::sanitize;
use herd_node::config::HerdConfig;
use serde_json::Value;

use super::json_text::{generation, short, text};
use super::nodes::ask_each;
use super::swap_fault::swap_fault;
use super::table::Table;

/// Arguments of `herd status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only this node. Repeatable. Default: every node of the herd.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Print the full status of the nodes as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the status of nodes. Fails if a node does not answer.
pub(super) fn status(config: &HerdConfig, args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, &args.node, async |client, node| client.status(node).await)?;
    if args.json {
        return answers.print_json();
    }
    let up: Vec<&Value> = answers.successes().map(|(_, status)| status).collect();
    let mut nodes = Table::new(&[
        "node",
        "generation",
        "guest",
        "previous",
        "candidate",
        "records",
        "digest",
        "sessions",
        "quarantined",
        "faults",
    ]);
    let mut links = Table::new(&["link", "state", "queued", "dropped", "round trip", "clock ahead", "last error"]);
    for (name, answer) in answers.iter() {
        let Ok(status) = answer else {
            nodes.row([name, "down"]);
            continue;
        };
        let (active, previous) = (&status["generations"]["active"], &status["generations"]["previous"]);
        nodes.row([
            name.to_string(),
            generation(active),
            text(&active["name"]),
            if previous.is_null() { "-".into() } else { generation(previous) },
            candidate(&status["generations"]),
            text(&status["records"]["keys"]),
            short(&status["records"]["digest"]),
            text(&status["sessions"]["open"]),
            text(&status["records"]["quarantined"]),
            text(&active["faults"]),
        ]);
        for link in status["links"].as_array().into_iter().flatten() {
            let milliseconds =
                |value: &Value| value.as_f64().map_or("-".into(), |milliseconds| format!("{milliseconds:.2} ms"));
            links.row([
                format!("{name} - {}", text(&link["peer"])),
                text(&link["state"]),
                format!("{} B", text(&link["queued_bytes"])),
                text(&link["dropped_reports"]),
                milliseconds(&link["round_trip_ms"]),
                milliseconds(&link["clock_ahead_ms"]),
                link["last_error"].as_str().unwrap_or("-").into(),
            ]);
        }
    }
    say_on!("{nodes}");
    if let Some(swap) = up.iter().map(|node| &node["herd"]["swap"]).max_by_key(|swap| swap["number"].as_u64())
        && !swap.is_null()
    {
        let (number, who) = (text(&swap["number"]), text(&swap["who"]));
        say!("\nswap {number} of the herd, to {}, by {}", short(&swap["digest"]), sanitize(&who));
    }
    if !links.is_empty() {
        say_on!("\n{links}");
    }
    let faults = faults(config, &up);
    if !faults.is_empty() {
        say_on!("\n{faults}");
    }
    answers.exit_code()
}

/// Lists faults that need a person, a line each.
fn faults(config: &HerdConfig, nodes: &[&Value]) -> String {
    let mut faults = String::new();
    let digests: Vec<&Value> = nodes.iter().map(|node| &node["records"]["digest"]).collect();
    if digests.windows(2).any(|pair| pair[0] != pair[1]) {
        let _ = writeln!(faults, "records differ between nodes: reports are under way, or a node missed some");
    }
    // Two clocks that differ by more than half the tolerance can let an older report win.
    let tolerance_s = config.logic.get("tolerance_s").and_then(as_seconds).unwrap_or(TOLERANCE_S);
    for node in nodes {
        let audit = &node["audit"];
        if audit["lost"].as_u64().is_some_and(|lost| lost > 0) {
            let (name, lost, why) = (text(&node["node"]), text(&audit["lost"]), text(&audit["last_error"]));
            let _ = writeln!(faults, "audit fault: {name} could not write {lost} entries of its audit log: {why}");
        }
        let (name, herd) = (text(&node["node"]), &node["herd"]);
        if let Some(fault) = swap_fault(node) {
            let _ = writeln!(faults, "{fault}");
        }
        if let Some(why) = herd["ended"].as_str() {
            let _ =
                writeln!(faults, "swap fault: {name} takes no part in swaps of the herd until it is restarted: {why}");
        }
        if let Some(error) = herd["memory_error"].as_str() {
            let _ = writeln!(
                faults,
                "swap fault: {name} cannot store its generations and would lose them at a restart: {error}"
            );
        }
        if node["generations"]["unconvertible"].as_u64().is_some_and(|count| count > 0) {
            let (name, count) = (text(&node["node"]), text(&node["generations"]["unconvertible"]));
            let _ = writeln!(
                faults,
                "form fault: {name} withheld a record from its guest {count} times, because no guest on the node can convert it"
            );
        }
        for link in node["links"].as_array().into_iter().flatten() {
            let ahead_ms = link["clock_ahead_ms"].as_f64().unwrap_or_default();
            if ahead_ms.abs() > tolerance_s * 500.0 {
                let (name, peer) = (text(&node["node"]), text(&link["peer"]));
                let _ = writeln!(faults, "clock fault: {peer} is {:.3} s ahead of {name}", ahead_ms / 1000.0);
            }
        }
    }
    faults
}

/// Describes the canary or shadow of a node, or returns `-`.
fn candidate(generations: &Value) -> String {
    let share = |role: &str, digest: &Value, share: &Value| format!("{role} {} {share} %", short(digest));
    let (canary, shadow) = (&generations["canary"], &generations["shadow"]);
    if !canary.is_null() {
        share("canary", &canary["candidate"]["digest"], &canary["share_percent"])
    } else if !shadow.is_null() {
        share("shadow", &shadow["digest"], &shadow["share_percent"])
    } else {
        "-".into()
    }
}

/// Reads a number of seconds as the guest does: an integer, a float or a string.
#[allow(clippy::cast_precision_loss, reason = "a tolerance is far below 2^52 seconds")]
fn as_seconds(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| Some(value.as_integer()? as f64)).or_else(|| value.as_str()?.parse().ok())
}

/// Default of `tolerance_s` in the default logic.
const TOLERANCE_S: f64 = 60.0;
