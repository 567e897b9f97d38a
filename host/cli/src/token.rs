//! `herd token`: the token of the admin API over TCP.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use herd_admin::Token;
use herd_config::HerdConfig;
use herd_sys::state_directory;

/// Arguments of `herd token`.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Replace the token by a new one. Running nodes refuse the old one at once, and need no restart.
    ///
    /// Run it as the user of the nodes, on each machine of the herd: every machine has a token of its own.
    Rotate,
}

/// Changes the token.
pub(super) fn token(config: &HerdConfig, args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let Action::Rotate = args.action;
    let token = Token::rotate(&state_directory(config.state_dir.as_deref(), &config.herd)?)?;
    say!("new admin token in {}; the old one is refused from now on", token.path().display());
    Ok(ExitCode::SUCCESS)
}
