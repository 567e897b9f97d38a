//! `herd rollback`: return to the generation before.

use std::process::ExitCode;

use herd_node::config::HerdConfig;

use super::answers::print_herd_swap;
use super::cancellation::{Change, cancel_on_signal};
use super::nodes::{NodesArgs, ask_each, ask_first};

/// Rolls the whole herd back, or single nodes.
pub(super) fn rollback(config: &HerdConfig, args: &NodesArgs) -> anyhow::Result<ExitCode> {
    if args.node.is_empty() {
        let answer = ask_first(config, async |client, node| {
            cancel_on_signal(config, client, node, Change::Rollback, client.herd_roll_back(node)).await
        })?;
        return print_herd_swap(&answer, args.format(), "serving again");
    }
    let answers = ask_each(config, &args.node, async |client, node| {
        cancel_on_signal(config, client, node, Change::Rollback, client.roll_back(node)).await
    })?;
    answers.print_swaps(args.format(), "serving again")
}
