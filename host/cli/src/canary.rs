//! `herd canary` and `herd swap --canary`: a candidate that decides for a share of the sessions.
//!
//! A canary is started on every addressed node or on none. Which sessions it gets, and when it ends by itself, is up to the
//! nodes.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use herd_admin::{AdminClientError, Promotion, ShareOptions};
use herd_model::{GuestFiles, Share};
use serde_json::{Map, Value};

use super::admin_herd::AdminHerd;
use super::answers::{Answers, print_herd_swap, state};
use super::cancellation::{Change, cancel_on_signal};
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
    /// Show the canary of each node: how many of the open sessions it has, how many calls it decided, and on how many it faulted.
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
    config: &AdminHerd,
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
    print_decides(&answers, format, options.share)
}

/// Shows, widens, promotes or cancels a canary.
pub(super) fn canary(config: &AdminHerd, args: &CanaryArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        CanaryCommand::Start(_) => bail!("{START}"),
        CanaryCommand::Report(args) => report(config, args),
        CanaryCommand::Widen { share, nodes } => {
            let answers = ask_each(config, &nodes.node, async |client, node| client.widen_canary(node, *share).await)?;
            print_decides(&answers, nodes.format(), *share)
        }
        CanaryCommand::Promote(args) if args.node.is_empty() => {
            let answer = ask_first(config, async |client, node| {
                let request = client.promote_canary(node, Promotion::OfTheHerd);
                cancel_on_signal(client, node, Change::Swap, request).await
            })?;
            print_herd_swap(&answer, args.format(), "serving")
        }
        CanaryCommand::Promote(args) => {
            let answers = ask_each(config, &args.node, async |client, node| {
                let request = client.promote_canary(node, Promotion::OfThisNode);
                cancel_on_signal(client, node, Change::Swap, request).await
            })?;
            answers.print_swaps(args.format(), "serving")
        }
        CanaryCommand::Cancel(args) => {
            let answers = ask_each(config, &args.node, async |client, node| client.end_canary(node).await)?;
            answers.print_candidates(args.format(), ROLE, "canary ended")
        }
    }
}

fn print_decides(answers: &Answers, format: Format, share: Share) -> anyhow::Result<ExitCode> {
    let code = answers.print_candidates(format, ROLE, &format!("decides for {share} of the sessions"))?;
    if format == Format::Text {
        answers
            .successes()
            .filter_map(|(name, answer)| none_of_them(name, &answer[ROLE]))
            .for_each(|note| say!("{note}"));
    }
    Ok(code)
}

/// Says that the share of a canary is not one of the sessions of its node. None if it is, or if there is no session.
fn none_of_them(node: &str, canary: &Value) -> Option<String> {
    let (has, open) = (canary["sessions"].as_u64()?, canary["sessions_open"].as_u64()?);
    let sessions = if open == 1 { "session" } else { "sessions" };
    (has == 0 && open > 0).then(|| {
        format!(
            "{}% of {open} {sessions} on {node} is none of them: herd canary widen gives it more, and new sessions may belong to it",
            canary["share_percent"]
        )
    })
}

fn report(config: &AdminHerd, args: &NodesArgs) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, &args.node, async |client, node| client.status(node).await)?;
    let mut nodes = Table::new(&["node", "guest", "share", "sessions", "calls decided", "calls rescued"]);
    let (mut canaries, mut notes) = (Map::new(), Vec::new());
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
        let sessions = format!("{} of {}", canary["sessions"], canary["sessions_open"]);
        let counts = ["decided", "rescued"].map(|count| text(&canary[count]));
        nodes.row([name.to_string(), generation(&canary["candidate"]), share, sessions].into_iter().chain(counts));
        notes.extend(none_of_them(name, canary));
    }
    match args.format() {
        Format::Json => say!("{}", serde_json::to_string_pretty(&canaries)?),
        Format::Text => {
            say_on!("{nodes}");
            if !canaries.is_empty() && canaries.values().all(Value::is_null) {
                say!("\n{START}");
            }
            notes.iter().for_each(|note| say!("{note}"));
        }
    }
    // A node that is away has no canary, which is no failure of the others.
    if canaries.is_empty() { answers.exit_code() } else { Ok(ExitCode::SUCCESS) }
}

/// Command that starts a canary, for those who look for it here.
const START: &str = "herd swap GUEST --canary 5% starts a canary";
/// Key of the canary in the answers of nodes.
const ROLE: &str = "canary";
