//! `herd config`: checks the configuration, prints it with every default, and writes an example for several hosts.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use herd_code::CompiledCode;
use herd_config::HerdConfig;
use herd_model::{Digest, GuestFiles, Listener};
use herd_runtime::{ComponentDecider, Engine, Warmth};
use herd_sdk::native::MemoryRecords;
use herd_sys::clock::unix_now;
use herd_upstreams::Upstreams;

use super::built_in_guest::keep_built_in;
use super::config_example::{self, ExampleArgs};
use super::global_options::GlobalOptions;
use super::guest_file::{BroughtGuest, read_brought_guest};
use super::numbers::counted;
use crate::default_guest;

/// Arguments of `herd config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: Option<ConfigCommand>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the configuration, and say in a line what it is.
    Check,
    /// Print a commented configuration for nodes on several hosts, to be edited and given to all of them.
    Example(ExampleArgs),
}

/// Checks the configuration as the start of a node would, short of binding addresses, and prints it.
///
/// # Errors
///
/// A node would not start: a secret is missing, or the guest does not load or refuses its settings.
pub(super) fn config(options: &GlobalOptions, args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        None => {
            let config = options.config()?;
            check(&config)?;
            say_on!("{}", toml::to_string_pretty(&config.resolved())?);
        }
        Some(ConfigCommand::Check) => {
            let config = options.config()?;
            check(&config)?;
            let names = config.node_names();
            let links: usize = names.iter().map(|name| config.neighbours(name).len()).sum();
            let (nodes, links) = (counted(names.len(), "node"), counted(links / 2, "link"));
            let file =
                options.used_config_file()?.map_or("the configuration".into(), |file| file.display().to_string());
            say!("{file} is good: herd {}, {nodes} ({}), {links}", config.herd.escape_debug(), names.join(", "));
        }
        Some(ConfigCommand::Example(args)) => config_example::print(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check(config: &HerdConfig) -> anyhow::Result<()> {
    let name = config.node_names().first().copied().unwrap_or_default();
    Upstreams::new(name, &config.upstreams, &config.places.sources)?;
    let built_in = || Ok(BroughtGuest { guest: GuestFiles::from(default_guest()).into(), codes: Vec::new() });
    let BroughtGuest { guest, codes } = config.guest.as_ref().map_or_else(built_in, |path| read_brought_guest(path))?;
    let policy = config.swap.policy(Digest::of(default_guest()));
    policy.recognize(guest.files(), unix_now()).context("the guest of the configuration is not accepted")?;
    let engine = Engine::new(config.runtime.limits())?;
    let _code = keep_built_in(&engine, config.guest.is_none())?;
    // A build without a compiler starts with the code of a bundle. What the keys did not sign a node does not load either.
    let signed = codes.iter().filter(|code| code.accepted_by(&policy, unix_now()).is_ok());
    let fitting = |code: &CompiledCode| engine.keep_compiled(&guest.guest, Some(&code.code)).ok();
    let _brought = if engine.compiles() { None } else { signed.into_iter().find_map(fitting) };
    let records = Arc::new(MemoryRecords::default());
    ComponentDecider::load(&engine, &guest.guest, config.settings(name), records, Warmth::Warm)
        .with_context(|| format!("the guest cannot serve {name}"))?;
    if let Some((name, _)) = config.nodes.iter().find(|(_, node)| node.classic.is_some()) {
        let (records, settings) = (Arc::new(MemoryRecords::default()), config.settings(name));
        let settings = Listener::Classic.settings(&settings).into_owned();
        ComponentDecider::load(&engine, &guest.guest, settings, records, Warmth::Warm)
            .with_context(|| format!("the guest cannot decide lines of classic links at {name}"))?;
    }
    Ok(())
}
