//! `herd audit`: verifies and prints the audit logs of the nodes on this machine. Needs no running node; one that runs is given a moment to
//! write what it has noted.
//!
//! Owns which logs are read, and the exit code. What entries look like is up to `audit_table`. Bounds: that moment.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use herd_admin::{AdminClient, Endpoint};
use herd_audit::{self as audit, KeyUse, ReadError, Verified, sanitize, verify};
use herd_config::HerdConfig;
use herd_sys::state_directory;
use serde_json::{Value, json};

use super::audit_table::{brief_table, wide_table};
use super::client_runtime::block_on;
use super::table::{terminal_width, wrap};

/// Arguments of `herd audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Only this node. Repeatable. Default: every node with a log on this machine.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Print every field as JSON.
    #[arg(long)]
    json: bool,
    /// Print every entry in full, on one line each.
    #[arg(long, conflicts_with_all = ["json", "verify_only"])]
    wide: bool,
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
    block_on(Box::pin(async { tokio::time::timeout(WRITTEN_MAX, written(&state, &names)).await.is_ok() }))?;
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
        let width = terminal_width();
        match (args.verify_only, args.wide) {
            (true, _) => {}
            (false, true) => say_on!("{}\n", wide_table(&logs)),
            (false, false) => say_on!("{}\n", brief_table(&logs, width)),
        }
        for (name, log) in &logs {
            let verdict = format!("{name}: {}", log.verdict());
            // On one line where no entries precede it: that is the output to note elsewhere, or to compare.
            let is_brief = !args.verify_only && !args.wide;
            say!("{}", if is_brief { wrap(&verdict, width - INDENT.len()).join(INDENT_NEXT) } else { verdict });
        }
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

/// Waits until the nodes that run here have written the entries that they have noted.
async fn written(state: &Path, names: &[&str]) {
    let Ok(client) = AdminClient::new() else { return };
    for name in names {
        let endpoint = Endpoint::socket(name, state);
        // A node that cannot be asked has told nobody of its entries either.
        while endpoint.has_socket()
            && let Ok(status) = client.status(&endpoint).await
            && status["audit"]["queued"].as_u64().is_some_and(|queued| queued > 0)
        {
            tokio::time::sleep(WRITTEN_POLL).await;
        }
    }
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

/// Time for all nodes to write their entries. A stopped process, or a disk that hangs, is not waited for longer.
const WRITTEN_MAX: Duration = Duration::from_secs(1);
const WRITTEN_POLL: Duration = Duration::from_millis(5);
/// Begin of the lines after the first of a verdict, and the same after the newline before it.
const INDENT: &str = "  ";
const INDENT_NEXT: &str = "\n  ";
/// Likely reason for a missing log.
const STARTED: &str = "has this user started the herd on this machine?";
