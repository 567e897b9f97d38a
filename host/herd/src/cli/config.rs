//! `herd config`: checks the configuration and prints it with every default.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use herd_node::config::HerdConfig;
use herd_runtime::{ComponentDecider, Engine, Warmth};
use herd_sdk::native::MemoryRecords;
use herd_upstreams::Upstreams;

use super::guest_file::read_guest;
use crate::DEFAULT_GUEST;

/// Checks the configuration as the start of a node would, short of binding addresses, and prints it.
///
/// # Errors
///
/// A node would not start: a secret is missing, or the guest does not load or refuses its settings.
pub(super) fn config(config: &HerdConfig) -> anyhow::Result<ExitCode> {
    let name = config.node_names().first().copied().unwrap_or_default();
    Upstreams::new(name, &config.upstreams, &config.places.sources)?;
    let guest = config.guest.as_ref().map_or_else(|| Ok(DEFAULT_GUEST.to_vec()), |path| read_guest(path))?;
    let engine = Engine::new(config.runtime.limits())?;
    let records = Arc::new(MemoryRecords::default());
    ComponentDecider::load(&engine, &guest, config.settings(name), records, Warmth::Warm)
        .with_context(|| format!("the guest cannot serve {name}"))?;
    say_on!("{}", toml::to_string_pretty(&config.resolved())?);
    Ok(ExitCode::SUCCESS)
}
