//! Logging: to standard error, coloured on a terminal unless `NO_COLOR` is set.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Starts logging for the rest of the process.
///
/// # Errors
///
/// The filter is invalid.
pub(super) fn start(filter: &str, json: bool) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("`{filter}` is not a valid log filter; try info"))?;
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && !no_color);
    if json {
        builder.json().init();
    } else {
        builder.init();
    }
    Ok(())
}
