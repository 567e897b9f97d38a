//! `herd up`: the whole herd in one process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use herd_node::config::HerdConfig;

use super::serve::{ReadyWhen, Serving};

/// Arguments of `herd up`.
#[derive(Debug, Args)]
pub(super) struct UpArgs {
    /// Swap to the component in this file now and whenever its content changes. The file may be created later. Content
    /// that cannot serve is reported once, and the active generation keeps serving.
    #[arg(long, value_name = "FILE")]
    watch: Option<PathBuf>,
}

/// Runs every node of the herd until a signal.
pub(super) fn up(config: &HerdConfig, args: &UpArgs) -> anyhow::Result<ExitCode> {
    let names: Vec<String> = config.node_names().into_iter().map(ToString::to_string).collect();
    Serving { config, names: &names, label: "herd", ready_when: ReadyWhen::Linked, watched: args.watch.as_deref() }
        .run()
}
