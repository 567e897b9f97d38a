//! `herd run`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::serve::serve;
use crate::config::HerdConfig;

/// Arguments of `herd run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The name of the node.
    node: String,
    /// Swaps to the component in this file now and whenever its content changes. It need not be there yet.
    #[arg(long, value_name = "FILE")]
    watch: Option<PathBuf>,
}

/// Runs one node.
pub(super) fn run(config: &HerdConfig, args: &RunArgs) -> anyhow::Result<ExitCode> {
    config.node(&args.node)?;
    serve(config, std::slice::from_ref(&args.node), &args.node, false, args.watch.as_deref())
}
