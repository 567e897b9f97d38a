//! `herd canary` and `herd swap --canary`: a candidate that decides for a share of the sessions.
//!
//! A canary is started on every addressed node or on none. Which sessions it gets, and when it ends by itself, is up to the
//! nodes.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use herd_admin::{AdminClientError, Promotion, ShareOptions};
use herd_model::{GuestFiles, Share};
use herd_node::config::HerdConfig;
use serde_json::{Map, Value};

use super::answers::{print_herd_swap, state};
use super::format::Format;
use super::json_text::{generation, text};
use super::nodes::{NodesArgs, StartArgs, ask_each, ask_first};
use super::table::Table;

/// Arguments of `herd canary`.
#[derive(Debug, Args)]
pub(super) struct CanaryArgs {
    #[command(subcommand)]
    command: CanaryCommand,
}

#[derive(Debug, Subcommand)]
enum CanaryCommand {
    /// Not a command, but what many people type first: `herd swap GUEST --canary SHARE` starts a canary.
    #[command(hide = true, disable_help_flag = true)]
    Start(StartArgs),
    /// Show the canary of each node: how many calls it decided, and how many of them faulted.
    Report(NodesArgs),
    /// Change the share of the sessions. When it grows, the sessions that the canary already has stay with it.
    Widen {
        /// New share, 1% to 100%.
        share: Share,
        #[command(flatten)]
        nodes: NodesArgs,
    },
    /// Swap the herd to the canary, as `herd swap` would.
    Promote(NodesArgs),
    /// End the canary. The active generation decides for its sessions again.
    Cancel(NodesArgs),
}

/// Starts a canary on every node that answers, or on none if one refuses.
pub(super) fn begin(
    config: &HerdConfig,
    nodes: &[String],
    files: GuestFiles<'_>,
    options: ShareOptions,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let mut answers = ask_each(config, nodes, async |client, node| client.canary(node, files, options).await)?;
    // A node that is down does not prevent a canary on the others; one that refuses the guest does.
    let refused = |answer: &Result<Value, AdminClientError>| {
        matches!(answer, Err(AdminClientError::Refused(_) | AdminClientError::Busy(_)))
    };
    if answers.iter().any(|(_, answer)| refused(answer)) {
        let begun: Vec<String> = answers.successes().map(|(name, _)| name.to_string()).collect();
        if !begun.is_empty() {
            ask_each(config, &begun, async |client, node| client.end_canary(node).await)?;
        }
        answers.0.retain(|(_, answer)| refused(answer));
    }
    answers.print_candidates(format, ROLE, &format!("decides for {} of the sessions", options.share))
}

/// Shows, widens, promotes or cancels a canary.
pub(super) fn canary(config: &HerdConfig, args: &CanaryArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        CanaryCommand::Start(_) => bail!("{START}"),
        CanaryCommand::Report(args) => report(config, args),
        CanaryCommand::Widen { share, nodes } => {
            let answers = ask_each(config, &nodes.node, async |client, node| client.widen_canary(node, *share).await)?;
            answers.print_candidates(nodes.format(), ROLE, &format!("decides for {share} of the sessions"))
        }
        CanaryCommand::Promote(args) if args.node.is_empty() => {
            let answer =
                ask_first(config, async |client, node| client.promote_canary(node, Promotion::OfTheHerd).await)?;
            print_herd_swap(&answer, args.format(), "serving")
        }
        CanaryCommand::Promote(args) => {
            let answers = ask_each(config, &args.node, async |client, node| {
                client.promote_canary(node, Promotion::OfThisNode).await
            })?;
            answers.print_swaps(args.format(), "serving")
        }
        CanaryCommand::Cancel(args) => {
            let answers = ask_each(config, &args.node, async |client, node| client.end_canary(node).await)?;
            answers.print_candidates(args.format(), ROLE, "canary ended")
        }
    }
}

fn report(config: &HerdConfig, args: &NodesArgs) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, &args.node, async |client, node| client.status(node).await)?;
    let mut nodes = Table::new(&["node", "guest", "share", "decided", "rescued"]);
    let mut canaries = Map::new();
    for (name, answer) in answers.iter() {
        let status = match answer {
            Ok(status) => status,
            Err(error) => {
                nodes.row([name, state(error)]);
                continue;
            }
        };
        let canary = &status["generations"]["canary"];
        canaries.insert(name.to_string(), canary.clone());
        if canary.is_null() {
            nodes.row([name, "none"]);
            continue;
        }
        let share = format!("{}%", canary["share_percent"]);
        let counts = ["decided", "rescued"].map(|count| text(&canary[count]));
        nodes.row([name.to_string(), generation(&canary["candidate"]), share].into_iter().chain(counts));
    }
    match args.format() {
        Format::Json => say!("{}", serde_json::to_string_pretty(&canaries)?),
        Format::Text => {
            say_on!("{nodes}");
            if !canaries.is_empty() && canaries.values().all(Value::is_null) {
                say!("\n{START}");
            }
        }
    }
    // A node that is away has no canary, which is no failure of the others.
    if canaries.is_empty() { answers.exit_code() } else { Ok(ExitCode::SUCCESS) }
}

/// How a canary is started, for those who look for it here.
const START: &str = "herd swap GUEST --canary 5% starts a canary";
/// Key of the canary in the answers of nodes.
const ROLE: &str = "canary";
