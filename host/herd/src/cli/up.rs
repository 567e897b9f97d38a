//! `herd up`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::serve::serve;
use crate::config::HerdConfig;

/// Arguments of `herd up`.
#[derive(Debug, Args)]
pub(super) struct UpArgs {
    /// Swaps to the component in this file now and whenever its content changes. It need not be there yet. Content that
    /// cannot serve is said once, and what served before goes on.
    #[arg(long, value_name = "FILE")]
    watch: Option<PathBuf>,
}

/// Runs every node of the herd.
pub(super) fn up(config: &HerdConfig, args: &UpArgs) -> anyhow::Result<ExitCode> {
    let names: Vec<String> = config.node_names().into_iter().map(ToString::to_string).collect();
    serve(config, &names, "herd", true, args.watch.as_deref())
}
