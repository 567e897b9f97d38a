//! `herd forget`: forget a client at every node.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::Args;
use herd_audit::sanitize;

use super::admin_herd::AdminHerd;
use super::json_text::text;
use super::nodes::ask_one;

/// Arguments of `herd forget`.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// Name of the client, which is the key of its record.
    client: OsString,
    /// Ask this node. Default: the first that answers.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Print the answer of the node as JSON.
    #[arg(long)]
    json: bool,
}

/// Forgets a client.
pub(super) fn forget(config: &AdminHerd, args: &ForgetArgs) -> anyhow::Result<ExitCode> {
    let key = args.client.as_bytes();
    let answer = ask_one(config, args.node.as_deref(), async |client, node| client.forget(node, key).await)?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        let client = sanitize(&String::from_utf8_lossy(key));
        let (node, days) = (text(&answer["node"]), text(&answer["keep_days"]));
        say!("{node}: {client} is forgotten, which every node remembers for {days} days");
    }
    Ok(ExitCode::SUCCESS)
}
