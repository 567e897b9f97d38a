//! `herd context`: adds, lists, chooses, shows and removes contexts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueHint};
use herd_config::suggestion;
use serde_json::json;

use super::contexts::{Chosen, Context, ContextName, ContextsFile, Origin};
use super::global_options::GlobalOptions;
use super::numbers::counted;
use super::table::Table;

/// Arguments of `herd context`.
#[derive(Debug, Args)]
pub(super) struct ContextArgs {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    /// Add a context, with the configuration of --config and the certificate of --identity.
    ///
    /// Without --config it is the herd of the defaults: five nodes on 127.0.0.1. Paths are stored as absolute ones. The configuration has to
    /// load.
    Add(AddArgs),
    /// List the contexts. A star marks the current one.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a context the current one: commands use it that are not told otherwise.
    Use(UseArgs),
    /// Show a context. Default: the one that commands use now, and why.
    Show {
        /// Name of the context.
        name: Option<ContextName>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a context. Its files stay.
    Remove {
        /// Name of the context.
        name: ContextName,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Name of the context: at most 64 letters, digits, points, dashes and underscores.
    name: ContextName,
    /// State directory of the herd, if it is not that of the configuration: `state_dir`.
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    state_dir: Option<PathBuf>,
    /// Replace a context of this name.
    #[arg(long)]
    replace: bool,
    /// Make it the current one, too.
    #[arg(long = "use")]
    make_current: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct UseArgs {
    /// Name of the context.
    name: Option<ContextName>,
    /// No context: commands find a herd as if there were none.
    #[arg(long)]
    none: bool,
}

/// Runs a command about contexts.
pub(super) fn context(options: &GlobalOptions, args: &ContextArgs) -> anyhow::Result<ExitCode> {
    let mut file = ContextsFile::open()?;
    match &args.command {
        ContextCommand::Add(args) => add(options, &mut file, args)?,
        ContextCommand::List { json } => list(&file, *json),
        ContextCommand::Use(UseArgs { name, .. }) => {
            if let Some(name) = name {
                known(&file, name)?;
            }
            file.contexts.current.clone_from(name);
            file.write()?;
        }
        ContextCommand::Show { name, json } => show(options, &file, name.as_ref(), *json)?,
        ContextCommand::Remove { name } => {
            known(&file, name)?;
            file.contexts.named.remove(name);
            if file.contexts.current.as_ref() == Some(name) {
                file.contexts.current = None;
            }
            file.write()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn add(options: &GlobalOptions, file: &mut ContextsFile, args: &AddArgs) -> anyhow::Result<()> {
    let AddArgs { name, state_dir, replace, make_current } = args;
    if options.has_context() {
        bail!("--context names a context to use; a new one is made of --config and --identity");
    }
    if file.contexts.named.contains_key(name) && !replace {
        bail!("there is a context {name} already; --replace replaces it, herd context show {name} shows it");
    }
    let absolute = |path: &Path| std::path::absolute(path).with_context(|| path.display().to_string());
    let context = Context {
        config: options.config_file().as_deref().map(absolute).transpose()?,
        identity: options.identity_file().as_deref().map(absolute).transpose()?,
        state_dir: state_dir.as_deref().map(absolute).transpose()?,
    };
    // A name for a herd that no command could find would be of no use.
    let config = options.config_of(&context)?;
    if let Some(identity) = &context.identity {
        identity.metadata().with_context(|| identity.display().to_string())?;
    }
    file.contexts.named.insert(name.clone(), context);
    if *make_current {
        file.contexts.current = Some(name.clone());
    }
    file.write()?;
    let current = if *make_current { ", the current one" } else { "" };
    say!("context {name}{current}: herd {} of {}", config.herd.escape_debug(), counted(config.nodes.len(), "node"));
    Ok(())
}

fn list(file: &ContextsFile, json: bool) {
    let contexts = &file.contexts;
    if json {
        let current = contexts.current.as_ref().map(ContextName::as_str);
        return say!("{}", json!({ "current": current, "contexts": contexts.named }));
    }
    if contexts.named.is_empty() {
        return say!("no contexts; herd context add NAME --config FILE adds one");
    }
    let mut table = Table::new(&["", "context", "configuration", "identity"]);
    for (name, context) in &contexts.named {
        let mark = if contexts.current.as_ref() == Some(name) { "*" } else { "" };
        let identity = context.identity.as_deref().map_or("-".into(), |path| path.display().to_string());
        table.row([mark.to_string(), name.to_string(), context.configuration(), identity]);
    }
    say_on!("{table}");
}

fn show(options: &GlobalOptions, file: &ContextsFile, name: Option<&ContextName>, json: bool) -> anyhow::Result<()> {
    let (name, origin) = match name {
        Some(name) => (name.clone(), None),
        None => match options.chosen()? {
            Some(Chosen { name, origin, .. }) => (name, Some(origin)),
            None if json => {
                say!("{}", json!({ "context": null }));
                return Ok(());
            }
            None => {
                let found = options
                    .config_file()
                    .map_or("the five-node herd on 127.0.0.1".into(), |file| file.display().to_string());
                say!("no context is in use; the configuration is {found}");
                return Ok(());
            }
        },
    };
    let context = known(file, &name)?;
    if json {
        say!("{}", json!({ "context": name, "because": origin.map(Origin::text), "paths": context }));
        return Ok(());
    }
    say!("context {name}{}", origin.map(|origin| format!(", by {}", origin.text())).unwrap_or_default());
    say!("  configuration    {}", context.configuration());
    for (what, path) in [("identity", &context.identity), ("state directory", &context.state_dir)] {
        if let Some(path) = path {
            say!("  {what:<16} {}", path.display());
        }
    }
    let config = options.config_of(context)?;
    say!("  herd             {}: {}", config.herd.escape_debug(), config.node_names().join(", "));
    Ok(())
}

/// Returns the context of a name.
fn known<'a>(file: &'a ContextsFile, name: &ContextName) -> anyhow::Result<&'a Context> {
    let named = &file.contexts.named;
    named.get(name).with_context(|| {
        let near = suggestion(name.as_str(), named.keys().map(ContextName::as_str));
        format!("no context is named {name}{near}")
    })
}
