//! `herd inspect`: imports and exports of a guest, and whether this host can run it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use herd_node::config::HerdConfig;
use herd_runtime::Engine;

use super::guest_file::read_guest;

/// Arguments of `herd inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Component to inspect.
    guest: PathBuf,
    /// Print the inspection as JSON.
    #[arg(long)]
    json: bool,
}

/// Inspects a guest. Fails if this host cannot run it.
pub(super) fn inspect(config: &HerdConfig, args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let bytes = read_guest(&args.guest)?;
    let engine = Engine::new(config.runtime.limits())?;
    let inspection = engine.inspect(&bytes).with_context(|| args.guest.display().to_string())?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&inspection)?);
    } else {
        say!("{inspection}");
    }
    Ok(if inspection.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
