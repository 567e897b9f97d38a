//! `herd swap --canary` and `herd canary`: a candidate that decides for a share of the sessions.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use herd_admin::{AdminClientError, Promotion, ShareOptions};
use herd_model::Share;
use serde_json::Value;

use super::answers::{print_candidates, print_herd_swap, print_swaps};
use super::json_text::{generation, text};
use super::nodes::{NodesArgs, ask_each, ask_first};
use super::table::Table;
use crate::config::HerdConfig;

/// Arguments of `herd canary`.
#[derive(Debug, Args)]
pub(super) struct CanaryArgs {
    #[command(subcommand)]
    command: CanaryCommand,
}

#[derive(Debug, Subcommand)]
enum CanaryCommand {
    /// Shows the canary of each node, how many calls it has decided, and how often it faulted.
    Report(NodesArgs),
    /// Has it decide for another share of the sessions. Those that it decides for stay with it if the share is wider.
    Widen {
        /// The share: 1% to 100%.
        share: Share,
        #[command(flatten)]
        nodes: NodesArgs,
    },
    /// Has it decide for everybody: a swap of the herd to it, as `herd swap` does one.
    Promote(NodesArgs),
    /// Ends it: the active generation decides for its sessions again.
    Cancel(NodesArgs),
}

/// Has a guest decide for a share of the sessions: on every node that answers, or on none if one refuses.
pub(super) fn begin(
    config: &HerdConfig,
    nodes: &[String],
    guest: &[u8],
    options: ShareOptions,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut answers = ask_each(config, nodes, async |client, node| client.canary(node, guest.to_vec(), options).await)?;
    let refused = |(_, answer): &(_, Result<Value, AdminClientError>)| {
        matches!(answer, Err(AdminClientError::Refused(_) | AdminClientError::Busy(_)))
    };
    if answers.iter().any(refused) {
        let begun: Vec<String> =
            answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(name, _)| name.clone()).collect();
        if !begun.is_empty() {
            ask_each(config, &begun, async |client, node| client.end_canary(node).await)?;
        }
        answers.retain(|answer| refused(answer));
    }
    print_candidates(&answers, as_json, ROLE, &format!("decides for {} of the sessions", options.share))
}

/// Shows, widens, promotes or cancels a canary.
pub(super) fn canary(config: &HerdConfig, args: &CanaryArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        CanaryCommand::Report(args) => report(config, args),
        CanaryCommand::Widen { share, nodes } => {
            let answers = ask_each(config, &nodes.node, async |client, node| client.widen_canary(node, *share).await)?;
            print_candidates(&answers, nodes.json, ROLE, &format!("decides for {share} of the sessions"))
        }
        CanaryCommand::Promote(args) if args.node.is_empty() => {
            let promoted =
                ask_first(config, async |client, node| client.promote_canary(node, Promotion::OfTheHerd).await)?;
            print_herd_swap(&promoted, args.json, "serving")
        }
        CanaryCommand::Promote(args) => {
            let answers = ask_each(config, &args.node, async |client, node| {
                client.promote_canary(node, Promotion::OfThisNode).await
            })?;
            print_swaps(&answers, args.json, "serving")
        }
        CanaryCommand::Cancel(args) => {
            let answers = ask_each(config, &args.node, async |client, node| client.end_canary(node).await)?;
            print_candidates(&answers, args.json, ROLE, "decides for nobody any more")
        }
    }
}

fn report(config: &HerdConfig, args: &NodesArgs) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, &args.node, async |client, node| client.status(node).await)?;
    let mut nodes = Table::new(&["node", "guest", "share", "decided", "rescued"]);
    let mut canaries = serde_json::Map::new();
    for (name, answer) in &answers {
        let Ok(status) = answer else {
            nodes.row([name.as_str(), "down"]);
            continue;
        };
        let canary = &status["generations"]["canary"];
        canaries.insert(name.clone(), canary.clone());
        if canary.is_null() {
            nodes.row([name.as_str(), "none"]);
            continue;
        }
        let share = format!("{} %", canary["share_percent"]);
        let counts = ["decided", "rescued"].map(|count| text(&canary[count]));
        nodes.row([name.clone(), generation(&canary["candidate"]), share].into_iter().chain(counts));
    }
    if args.json {
        say!("{}", serde_json::to_string_pretty(&canaries)?);
    } else {
        say_on!("{nodes}");
    }
    if canaries.is_empty() { bail!("no node answers") } else { Ok(ExitCode::SUCCESS) }
}

/// What the answers of nodes call it.
const ROLE: &str = "canary";
