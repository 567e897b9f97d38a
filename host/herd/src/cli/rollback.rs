//! `herd rollback`.

use std::process::ExitCode;

use super::answers::{herd_told, told};
use super::nodes::{NodesArgs, ask_each, ask_one};
use crate::config::HerdConfig;

/// Goes back.
pub(super) fn rollback(config: &HerdConfig, args: &NodesArgs) -> anyhow::Result<ExitCode> {
    if args.node.is_empty() {
        let went_back = ask_one(config, async |client, node| client.herd_roll_back(node).await)?;
        return herd_told(&went_back, args.json, "serving again");
    }
    let answers = ask_each(config, &args.node, async |client, node| client.roll_back(node).await)?;
    told(&answers, args.json, "serving again")
}
