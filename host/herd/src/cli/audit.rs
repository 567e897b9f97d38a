//! `herd audit`: verifies and prints the audit logs of the nodes on this machine. Needs no running node.
//!
//! Texts in a log come from operators and guests, so all of them are sanitized before they are printed.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use herd_audit::{self as audit, KeyUse, Line, ReadError, Verified, sanitize, verify};
use herd_node::config::HerdConfig;
use herd_sys::state_directory;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::Table;

/// Arguments of `herd audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Only this node. Repeatable. Default: every node with a log on this machine.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Print every field as JSON.
    #[arg(long)]
    json: bool,
    /// Verify the logs without printing their entries.
    #[arg(long)]
    verify_only: bool,
}

/// Prints entries, oldest first, and a verdict on each log. Fails if a log is not intact.
pub(super) fn audit(config: &HerdConfig, args: &AuditArgs) -> anyhow::Result<ExitCode> {
    let state = state_directory(config.state_dir.as_deref(), &config.herd)?;
    let mut logs = Vec::new();
    let mut missing = Vec::new();
    let names = if args.node.is_empty() { config.node_names() } else { args.node.iter().map(String::as_str).collect() };
    for name in names {
        config.node(name)?;
        match verify(&state, name) {
            Ok(log) => logs.push((name, log)),
            // A missing log is an error only if it was asked for: other nodes may be on other machines.
            Err(error @ ReadError::Missing { .. }) if !args.node.is_empty() => bail!("{error}; {STARTED}"),
            Err(ReadError::Missing { .. }) => missing.push(name),
            Err(error) => return Err(error.into()),
        }
    }
    if logs.is_empty() {
        let directory = state.join(audit::DIRECTORY);
        bail!("no audit log of any node of this herd in {}; {STARTED}", directory.display());
    }
    if args.json {
        let nodes: serde_json::Map<String, Value> =
            logs.iter().map(|(name, log)| ((*name).to_string(), as_json(log, args.verify_only))).collect();
        say!("{}", serde_json::to_string_pretty(&nodes)?);
    } else {
        if !args.verify_only {
            say_on!("{}\n", table(&logs));
        }
        logs.iter().for_each(|(name, log)| say!("{name}: {}", log.verdict()));
        if !missing.is_empty() {
            say!("no log on this machine: {}", missing.join(", "));
        }
    }
    let problems: Vec<String> = logs
        .iter()
        .filter_map(|(name, log)| Some(format!("{name}: {}", sanitize(&log.problem.as_ref()?.to_string()))))
        .collect();
    match &*problems {
        [] => Ok(ExitCode::SUCCESS),
        [one] => bail!("{one}"),
        many => bail!("\n  {}", many.join("\n  ")),
    }
}

/// Merges the entries of all nodes by time, without reordering those of one node.
fn table(logs: &[(&str, Verified)]) -> Table {
    let mut lines: Vec<(u64, &Line)> = Vec::new();
    for (_, log) in logs {
        let mut latest = 0;
        for line in &log.lines {
            // A clock that was set back must not move an entry before its predecessor.
            latest = line.at_ns.max(latest);
            lines.push((latest, line));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut table = Table::new(&["when", "node", "entry", "stage", "generation", "digest", "outcome", "who"]);
    for (_, line) in lines {
        let entry = &line.entry;
        let text = |text: &Option<String>| text.as_deref().map_or("-".to_string(), sanitize);
        let outcome = entry
            .why
            .as_ref()
            .map_or_else(|| entry.outcome.to_string(), |why| format!("{}: {}", entry.outcome, sanitize(why)));
        table.row([
            Timestamp::from_nanosecond(line.at_ns.into()).map_or_else(|_| sanitize(&line.at), |at| format!("{at:.3}")),
            sanitize(&line.node),
            line.number.to_string(),
            entry.stage.to_string(),
            entry.generation.map_or("-".into(), |generation| generation.to_string()),
            text(&entry.digest).chars().take(8).collect(),
            outcome,
            sanitize(&entry.who),
        ]);
    }
    table
}

fn as_json(log: &Verified, verify_only: bool) -> Value {
    let mut value = json!({
        "entries_count": log.lines.len(),
        "begins": log.lines.first().map(|line| line.number),
        "head": log.head,
        "half_bytes": log.torn_bytes,
        "problem": log.problem.as_ref().map(|problem| json!({
            "path": problem.path,
            "line": problem.line,
            "flaw": problem.flaw.to_string(),
        })),
        "key": match &log.key {
            KeyUse::Checked => "checked",
            KeyUse::Missing => "missing",
            KeyUse::Unusable(why) => why,
        },
        "maced_from": log.maced_from,
        "unproved_beyond_head": log.unproved_beyond_head,
        "lost": log.losses().map(|(number, loss)| json!({ "number": number, "loss": loss })).collect::<Vec<_>>(),
    });
    if !verify_only {
        value["entries"] = json!(log.lines);
    }
    value
}

/// Likely reason for a missing log.
const STARTED: &str = "has this user started the herd on this machine?";
