//! `herd up`: the whole herd in one process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use herd_config::HerdConfig;

use super::logging::ProcessLog;
use super::serve::{ReadyWhen, Serving};

/// Arguments of `herd up`.
#[derive(Debug, Args)]
pub(super) struct UpArgs {
    /// Swap to the component in this file now and whenever its content changes. The file may be created later. Content
    /// that cannot serve is reported once, and the active generation keeps serving.
    #[arg(long, value_name = "FILE")]
    watch: Option<PathBuf>,
    /// Check that this program can run this, and end: configuration, secrets, guests, whose code is then in the cache. Addresses, records
    /// and certificates of links stay untouched, so it can run beside the nodes. `herd upgrade` does this with the new program.
    #[arg(long)]
    check: bool,
}

/// Runs every node of the herd until a signal.
pub(super) fn up(config: &HerdConfig, args: &UpArgs, log: ProcessLog) -> anyhow::Result<ExitCode> {
    let names: Vec<String> = config.node_names().into_iter().map(ToString::to_string).collect();
    let (ready_when, watched) = (ReadyWhen::Linked, args.watch.as_deref());
    let serving = Serving { config, names: &names, label: "herd", ready_when, watched, log };
    if args.check { serving.check() } else { serving.run() }
}
