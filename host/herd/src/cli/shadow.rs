//! `herd swap --shadow` and `herd shadow`: what a candidate would have decided in another way, by node and in all.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use herd_admin::ShareOptions;
use serde_json::{Value, json};

use super::answers::{exit_code, print_candidates};
use super::json_text::{generation, text};
use super::nodes::{NodesArgs, ask_each};
use super::shadow_totals::{COUNTS, ShadowTotals};
use super::table::Table;
use crate::config::HerdConfig;

/// Arguments of `herd shadow`.
#[derive(Debug, Args)]
pub(super) struct ShadowArgs {
    #[command(subcommand)]
    command: ShadowCommand,
}

#[derive(Debug, Subcommand)]
enum ShadowCommand {
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
    options: ShareOptions,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, nodes, async |client, node| client.shadow(node, guest.to_vec(), options).await)?;
    print_candidates(&answers, as_json, ROLE, &format!("decides {} of the calls too", options.share))
}

/// Shows or ends a shadow.
pub(super) fn shadow(config: &HerdConfig, args: &ShadowArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        ShadowCommand::Report(args) => report(config, &args.node, args.json),
        ShadowCommand::Stop(args) => {
            let answers = ask_each(config, &args.node, async |client, node| client.end_shadow(node).await)?;
            print_candidates(&answers, args.json, ROLE, "shadows no more; see herd shadow report")
        }
    }
}

/// Shows what shadows have found.
pub(super) fn report(config: &HerdConfig, nodes: &[String], as_json: bool) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, nodes, async |client, node| client.shadow_report(node).await)?;
    let mut all = ShadowTotals::default();
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
    all.print();
    exit_code(&answers)
}

/// What the answers of nodes call it.
const ROLE: &str = "shadow";
