//! `herd rollback`.

use std::process::ExitCode;

use super::answers::{print_herd_swap, print_swaps};
use super::nodes::{NodesArgs, ask_each, ask_first};
use crate::config::HerdConfig;

/// Goes back.
pub(super) fn rollback(config: &HerdConfig, args: &NodesArgs) -> anyhow::Result<ExitCode> {
    if args.node.is_empty() {
        let went_back = ask_first(config, async |client, node| client.herd_roll_back(node).await)?;
        return print_herd_swap(&went_back, args.json, "serving again");
    }
    let answers = ask_each(config, &args.node, async |client, node| client.roll_back(node).await)?;
    print_swaps(&answers, args.json, "serving again")
}
