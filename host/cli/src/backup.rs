//! `herd backup` and `herd restore`: records of a running node, in a directory on its machine.
//!
//! The nodes of a configuration run on this machine, so that a relative path means the same directory here and there once it is made
//! absolute.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use herd_audit::sanitize;

use super::admin_herd::AdminHerd;
use super::json_text::text;
use super::nodes::ask_one;

/// Arguments of `herd backup`.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Empty or new directory. A relative path is one from here.
    directory: PathBuf,
    /// The node whose records are copied. Default: the first that answers; every node has all records.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Print the answer of the node as JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `herd restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// Directory of a backup. A relative path is one from here.
    directory: PathBuf,
    /// The node that takes the records.
    #[arg(long, value_name = "NODE")]
    node: String,
    /// Print the answer of the node as JSON.
    #[arg(long)]
    json: bool,
}

/// Backs up a node.
pub(super) fn backup(config: &AdminHerd, args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let directory = absolute(&args.directory)?;
    let answer = ask_one(config, args.node.as_deref(), async |client, node| client.back_up(node, &directory).await)?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        let (node, bytes) = (text(&answer["node"]), text(&answer["bytes"]));
        say!("{node}: {bytes} bytes written to {}", directory.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Restores a backup into a node. Fails if a part of the backup is damaged, after the rest was restored.
pub(super) fn restore(config: &AdminHerd, args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let directory = absolute(&args.directory)?;
    let answer = ask_one(config, Some(&args.node), async |client, node| client.restore(node, &directory).await)?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        let (node, records, won) = (text(&answer["node"]), text(&answer["records"]), text(&answer["won"]));
        say!("{node}: {won} of {records} records were newer and are kept");
    }
    let Some(damaged @ 1..) = answer["damaged"].as_u64() else { return Ok(ExitCode::SUCCESS) };
    eprintln!("herd: warning: {damaged} damaged places in the backup; the rest was restored");
    for damage in answer["damages"].as_array().into_iter().flatten() {
        eprintln!("herd: warning: {}", sanitize(&text(damage)));
    }
    Ok(ExitCode::FAILURE)
}

/// Makes a path absolute: the node was started elsewhere.
fn absolute(directory: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(directory).with_context(|| format!("{}", directory.display()))
}
