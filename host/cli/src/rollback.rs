//! `herd rollback`: return to the generation before.

use std::process::ExitCode;

use clap::Args;
use herd_model::RollbackOptions;

use super::admin_herd::AdminHerd;
use super::answers::print_herd_swap;
use super::cancellation::{Change, cancel_on_signal};
use super::nodes::{NodesArgs, ask_each, ask_first};

/// Arguments of `herd rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    nodes: NodesArgs,
    /// Also forget the records that nodes kept while the generation served that is left. Their clients are unknown until they report
    /// again; what nodes kept before the swap under other keys stays. An absent node forgets its own when it is back.
    #[arg(long)]
    discard_records: bool,
}

/// Rolls the whole herd back, or single nodes.
pub(super) fn rollback(config: &AdminHerd, args: &RollbackArgs) -> anyhow::Result<ExitCode> {
    let options = RollbackOptions { discard_records: args.discard_records };
    let (nodes, format) = (&args.nodes.node, args.nodes.format());
    if nodes.is_empty() {
        let answer = ask_first(config, async |client, node| {
            cancel_on_signal(client, node, Change::Rollback, client.herd_roll_back(node, options)).await
        })?;
        return print_herd_swap(&answer, format, "serving again");
    }
    let answers = ask_each(config, nodes, async |client, node| {
        cancel_on_signal(client, node, Change::Rollback, client.roll_back(node, options)).await
    })?;
    answers.print_swaps(format, "serving again")
}
