//! `herd shadow` and `herd swap --shadow`: a candidate that decides a share of the calls without effect.
//!
//! The nodes compare; this prints their reports, by node and in total.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use herd_admin::ShareOptions;
use herd_model::GuestFiles;
use serde_json::json;

use super::admin_herd::AdminHerd;
use super::answers::state;
use super::format::Format;
use super::json_text::{generation, text};
use super::nodes::{NodesArgs, StartArgs, ask_each};
use super::shadow_totals::{COUNTS, ShadowTotals};
use super::table::Table;

/// Arguments of `herd shadow`.
#[derive(Debug, Args)]
pub(super) struct ShadowArgs {
    #[command(subcommand)]
    command: ShadowCommand,
}

#[derive(Debug, Subcommand)]
enum ShadowCommand {
    /// Not a command, but what many people type first: `herd swap GUEST --shadow SHARE` starts a shadow.
    #[command(hide = true, disable_help_flag = true)]
    Start(StartArgs),
    /// Show counts and the first examples of differences, by node and in total; also of a shadow that has ended.
    Report(NodesArgs),
    /// End the shadow. Its report stays until the next one.
    Stop(NodesArgs),
}

/// Starts a shadow on every node that accepts it.
pub(super) fn begin(
    config: &AdminHerd,
    nodes: &[String],
    files: GuestFiles<'_>,
    options: ShareOptions,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, nodes, async |client, node| client.shadow(node, files, options).await)?;
    answers.print_candidates(format, ROLE, &format!("shadows {} of the calls", options.share))
}

/// Shows or ends a shadow.
pub(super) fn shadow(config: &AdminHerd, args: &ShadowArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        ShadowCommand::Start(_) => bail!("{START}"),
        ShadowCommand::Report(args) => report(config, &args.node, args.format()),
        ShadowCommand::Stop(args) => {
            let answers = ask_each(config, &args.node, async |client, node| client.end_shadow(node).await)?;
            answers.print_candidates(args.format(), ROLE, "shadow ended; see herd shadow report")
        }
    }
}

/// Prints the reports of the shadows, by node and in total.
pub(super) fn report(config: &AdminHerd, nodes: &[String], format: Format) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, nodes, async |client, node| client.shadow_report(node).await)?;
    let mut totals = ShadowTotals::default();
    answers.successes().for_each(|(_, answer)| totals.add(&answer["shadow"]));
    if format == Format::Json {
        say!("{}", serde_json::to_string_pretty(&json!({ "nodes": answers.json(), "all": totals.json() }))?);
        return Ok(answers.json_exit_code());
    }
    let mut nodes = Table::new(&["node", "guest", "share", "compared", "skipped", "different", "faults", "state"]);
    for (name, answer) in answers.iter() {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                nodes.row([name, state(error)]);
                continue;
            }
        };
        let shadow = &answer["shadow"];
        if shadow.is_null() {
            nodes.row([name, "none"]);
            continue;
        }
        let state = shadow["ended"].as_str().map_or("running".into(), |why| format!("ended: {why}"));
        let share = format!("{}%", shadow["share_percent"]);
        let counts = COUNTS.map(|count| text(&shadow[count]));
        let guest = generation(&shadow["candidate"]);
        nodes.row([name.to_string(), guest, share].into_iter().chain(counts).chain([state]));
    }
    let counts = COUNTS.map(|count| totals.count(count).to_string());
    nodes.row(["all".into(), String::new(), String::new()].into_iter().chain(counts));
    say_on!("{nodes}");
    totals.print();
    answers.exit_code()
}

/// Command that starts a shadow, for those who look for it here.
const START: &str = "herd swap GUEST --shadow 100% starts a shadow";
/// Key of the shadow in the answers of nodes.
const ROLE: &str = "shadow";
