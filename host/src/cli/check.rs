//! `herd inspect` and `herd test`: a guest, looked at and tried without a node.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::config::HerdConfig;
use crate::runtime::Engine;

/// Arguments of `herd inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The component.
    guest: PathBuf,
    /// Prints it as JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `herd test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// The component.
    guest: PathBuf,
    /// Transcripts, or directories of them.
    transcripts: Vec<PathBuf>,
}

/// Says what a guest is.
pub(super) fn inspect(config: &HerdConfig, args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::read(&args.guest).with_context(|| args.guest.display().to_string())?;
    let engine = Engine::new(config.runtime.limits())?;
    let inspection = engine.inspect(&bytes).with_context(|| args.guest.display().to_string())?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&inspection)?);
    } else {
        println!("{inspection}");
    }
    Ok(if inspection.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs transcripts.
pub(super) fn test(_config: &HerdConfig, _args: &TestArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
