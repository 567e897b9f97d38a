//! `herd run`: one node in this process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use herd_config::HerdConfig;

use super::logging::ProcessLog;
use super::serve::{ReadyWhen, Serving};

/// Arguments of `herd run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Name of the node.
    node: String,
    /// Swap to the component in this file now and whenever its content changes. The file may be created later.
    #[arg(long, value_name = "FILE")]
    watch: Option<PathBuf>,
    /// Check that this program can run this, and end: configuration, secrets, guests, whose code is then in the cache. Addresses, records
    /// and certificates of links stay untouched, so it can run beside the nodes. `herd upgrade` does this with the new program.
    #[arg(long)]
    check: bool,
}

/// Runs one node until a signal.
pub(super) fn run(config: &HerdConfig, args: &RunArgs, log: ProcessLog) -> anyhow::Result<ExitCode> {
    config.node(&args.node)?;
    let names = std::slice::from_ref(&args.node);
    // Other nodes may be started later, so being ready cannot wait for their links.
    let ready_when = ReadyWhen::Accepting;
    let watched = args.watch.as_deref();
    let serving = Serving { config, names, label: &args.node, ready_when, watched, log };
    if args.check { serving.check() } else { serving.run() }
}
