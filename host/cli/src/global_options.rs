//! Options of every command, and the herd that they choose: a configuration, a context, or the certificate of an operator.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueHint};
use herd_config::{ConfigError, HerdConfig, Sources, load};

use super::admin_herd::AdminHerd;
use super::configured_herd::ConfiguredHerd;
use super::contexts::{Chosen, Context, ContextName, FollowsCurrent, NamedHerd, choose};

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub(super) struct GlobalOptions {
    /// Configuration file of the herd. Default: the five-node herd on 127.0.0.1.
    // Not the default parser, which refuses an empty path: scripts unset a variable by making it empty.
    #[arg(long, short, global = true, env = "HERD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = OsStringValueParser::new().map(PathBuf::from))]
    config: Option<PathBuf>,
    /// Set a key of the configuration, such as sessions.idle_s=60. Repeatable.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Log level (error, warn, info, debug or trace) or filter, such as info,guest=debug.
    #[arg(long, global = true, env = "HERD_LOG", value_name = "FILTER", default_value = "info")]
    pub(super) log: String,
    /// Log in JSON, one object per line.
    #[arg(long, global = true)]
    pub(super) log_json: bool,
    /// Certificate of an operator, as `herd certs issue --operator NAME` makes it: reach all nodes over their link ports with it. Default:
    /// the installed one (`herd certs install`), for nodes without an admin socket here.
    #[arg(long, global = true, env = "HERD_IDENTITY", value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = OsStringValueParser::new().map(PathBuf::from))]
    identity: Option<PathBuf>,
    /// Context to use: a name for a herd, made by `herd context add`. Default: the current context, for commands that do not start nodes.
    #[arg(long, global = true, env = "HERD_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    #[arg(skip)]
    sources: OptionSources,
}

/// Where the options that name a herd are from: the command line beats the environment.
#[derive(Clone, Copy, Debug, Default)]
struct OptionSources {
    config: Option<ValueSource>,
    context: Option<ValueSource>,
    identity: Option<ValueSource>,
}

impl OptionSources {
    fn of(matches: &ArgMatches) -> Self {
        let [config, context, identity] = ["config", "context", "identity"].map(|option| matches.value_source(option));
        Self { config, context, identity }
    }
}

impl GlobalOptions {
    /// Notes which options are from the command line and which from the environment.
    pub(super) fn set_sources(&mut self, matches: &ArgMatches) {
        self.sources = OptionSources::of(matches);
    }

    /// Loads the configuration for a command that administers nodes.
    pub(super) fn herd(&self) -> anyhow::Result<AdminHerd> {
        let chosen = self.chosen()?;
        let config = self.load(chosen.as_ref().map(|chosen| &chosen.context))?;
        let identity = self.identity_of(chosen.as_ref());
        Ok(AdminHerd::new(config, identity).in_context(chosen.map(|chosen| chosen.name)))
    }

    /// Returns the file of the configuration, if an option or the environment names one.
    pub(super) fn config_file(&self) -> Option<PathBuf> {
        self.config.clone().filter(|file| !file.as_os_str().is_empty())
    }

    /// Returns the file of the certificate of an operator, if an option or the environment names one.
    pub(super) fn identity_file(&self) -> Option<PathBuf> {
        self.identity.clone().filter(|file| !file.as_os_str().is_empty())
    }

    /// Returns the file of the configuration that a command uses, if there is one.
    pub(super) fn used_config_file(&self) -> anyhow::Result<Option<PathBuf>> {
        Ok(match self.chosen()? {
            Some(chosen) => chosen.context.config,
            None => self.config_file(),
        })
    }

    /// Returns the certificate of an operator: what is typed beats a context, and that the environment.
    fn identity_of(&self, chosen: Option<&Chosen>) -> Option<PathBuf> {
        let of_context = || chosen.and_then(|chosen| chosen.context.identity.clone());
        match self.sources.identity {
            Some(ValueSource::CommandLine) => self.identity_file(),
            _ => of_context().or_else(|| self.identity_file()),
        }
    }

    /// Returns these options with another file of the configuration.
    pub(super) fn with_config_file(&self, file: PathBuf) -> Self {
        let sources = OptionSources { config: Some(ValueSource::CommandLine), context: None, ..self.sources };
        Self { config: Some(file), context: None, sources, ..self.clone() }
    }

    /// Loads the configuration for a command that says what to type next.
    pub(super) fn configured(&self) -> anyhow::Result<ConfiguredHerd> {
        Ok(ConfiguredHerd::new(self.config()?, self.used_config_file()?))
    }

    /// Loads the configuration from the file, the environment and `--set`.
    pub(super) fn config(&self) -> anyhow::Result<HerdConfig> {
        Ok(self.load(self.chosen()?.as_ref().map(|chosen| &chosen.context))?)
    }

    /// Loads the configuration for a command that starts nodes, which does so for the current context only if that is named.
    pub(super) fn config_to_start(&self) -> anyhow::Result<HerdConfig> {
        let chosen = self.choice(FollowsCurrent::No)?;
        Ok(self.load(chosen.as_ref().map(|chosen| &chosen.context))?)
    }

    /// Loads the configuration of a context.
    pub(super) fn config_of(&self, context: &Context) -> Result<HerdConfig, ConfigError> {
        self.load(Some(context))
    }

    /// Returns whether an option or the environment names a context.
    pub(super) fn has_context(&self) -> bool {
        self.context.as_ref().is_some_and(|name| !name.is_empty())
    }

    /// Returns the context that a command uses which starts no node.
    pub(super) fn chosen(&self) -> anyhow::Result<Option<Chosen>> {
        self.choice(FollowsCurrent::Yes)
    }

    fn choice(&self, follows_current: FollowsCurrent) -> anyhow::Result<Option<Chosen>> {
        let name = self.context.as_ref().filter(|name| !name.is_empty());
        let name = name.map(|name| ContextName::try_from(name.clone()).map_err(anyhow::Error::msg)).transpose()?;
        choose(NamedHerd {
            config: self.sources.config.filter(|_| self.config_file().is_some()),
            context: name.as_ref().zip(self.sources.context),
            follows_current,
        })
    }

    fn load(&self, context: Option<&Context>) -> Result<HerdConfig, ConfigError> {
        let variables = std::env::vars_os();
        let mut environment: Vec<(String, String)> =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        if let Some(directory) = context.and_then(|context| context.state_dir.as_ref()) {
            // Weaker than the environment, and stronger than the file.
            let value = toml::Value::String(directory.to_string_lossy().into_owned()).to_string();
            environment.insert(0, ("HERD__STATE_DIR".into(), value));
        }
        let file = match context {
            Some(context) => context.config.clone(),
            None => self.config_file(),
        };
        load(&Sources { file, environment, set: self.set.clone() })
    }
}
