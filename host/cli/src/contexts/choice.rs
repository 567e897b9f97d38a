//! Choice of the context that a command uses.
//!
//! The command line takes precedence over the environment, and that over the current context: `--config` or `--context`, then `HERD_CONFIG`
//! or `HERD_CONTEXT`, then the current context, then none. Two of the same precedence are an error: no command guesses a herd. Reads no
//! environment; the caller says where each option is from.

use anyhow::{Context as _, bail};
use clap::parser::ValueSource;
use herd_config::suggestion;

use super::contexts_file::{Context, ContextsFile};
use super::name::ContextName;

/// Context that a command uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Its name.
    pub(crate) name: ContextName,
    /// Reason for it.
    pub(crate) origin: Origin,
    /// Its content.
    pub(crate) context: Context,
}

/// Reason for the choice of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `--context`.
    Option,
    /// `HERD_CONTEXT`.
    Environment,
    /// `herd context use`.
    Current,
}

/// Options of a command that name a herd, and where they are from. Empty values count as none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedHerd<'a> {
    pub(crate) config: Option<ValueSource>,
    pub(crate) context: Option<(&'a ContextName, ValueSource)>,
    pub(crate) follows_current: FollowsCurrent,
}

/// Use of the current context by a command that names no herd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FollowsCurrent {
    /// It talks to nodes, or reads files of their herd.
    Yes,
    /// It starts nodes: those of another machine must not begin to run here because somebody looks at them from here.
    No,
}

impl Origin {
    /// Returns the reason in a word.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Option => "--context",
            Self::Environment => "HERD_CONTEXT",
            Self::Current => "herd context use",
        }
    }
}

/// Chooses a context. None: the command uses `--config`, `HERD_CONFIG` or the defaults.
///
/// # Errors
///
/// Two options of the same weight name a herd, the context is not known, or the file cannot be read.
pub(crate) fn choose(named: NamedHerd<'_>) -> anyhow::Result<Option<Chosen>> {
    let Some((name, origin)) = wanted(named)? else {
        return current(named);
    };
    let file = ContextsFile::open()?;
    let context = file.contexts.named.get(name).cloned().with_context(|| {
        let near = suggestion(name.as_str(), file.contexts.named.keys().map(ContextName::as_str));
        format!("no context is named {name} ({}){near}; herd context add {name} --config FILE adds it", origin.text())
    })?;
    Ok(Some(Chosen { name: name.clone(), origin, context }))
}

/// Returns the context that an option names, unless a stronger one names a configuration.
fn wanted<'a>(named: NamedHerd<'a>) -> anyhow::Result<Option<(&'a ContextName, Origin)>> {
    let is_typed = |source| source == ValueSource::CommandLine;
    Ok(match (named.config.map(is_typed), named.context.map(|(name, source)| (name, is_typed(source)))) {
        (Some(true), Some((_, true))) => bail!("--config and --context both name a herd; leave one of them out"),
        (Some(false), Some((_, false))) => bail!("HERD_CONFIG and HERD_CONTEXT both name a herd; unset one of them"),
        (Some(true), _) | (_, None) => None,
        (_, Some((name, true))) => Some((name, Origin::Option)),
        (None, Some((name, false))) => Some((name, Origin::Environment)),
    })
}

fn current(named: NamedHerd<'_>) -> anyhow::Result<Option<Chosen>> {
    if named.config.is_some() || named.follows_current == FollowsCurrent::No {
        return Ok(None);
    }
    let mut contexts = ContextsFile::open()?.contexts;
    let Some(name) = contexts.current.take() else { return Ok(None) };
    let context = contexts.named.remove(&name).unwrap_or_default();
    Ok(Some(Chosen { name, origin: Origin::Current, context }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_that_is_typed_beats_the_environment_and_two_equals_are_refused() {
        let (typed, variable) = (Some(ValueSource::CommandLine), Some(ValueSource::EnvVariable));
        let name: ContextName = "prod".parse().unwrap();
        let choice = |config, context: Option<ValueSource>| {
            let context = context.map(|source| (&name, source));
            wanted(NamedHerd { config, context, follows_current: FollowsCurrent::Yes })
                .map(|wanted| wanted.map(|(_, origin)| origin))
        };
        for (config, context, wanted) in [
            (None, None, None),
            (typed, None, None),
            (typed, variable, None),
            (variable, None, None),
            (variable, typed, Some(Origin::Option)),
            (None, typed, Some(Origin::Option)),
            (None, variable, Some(Origin::Environment)),
        ] {
            assert_eq!(choice(config, context).unwrap(), wanted, "{config:?} {context:?}");
        }
        assert!(choice(typed, typed).unwrap_err().to_string().contains("--context"));
        assert!(choice(variable, variable).unwrap_err().to_string().contains("HERD_CONTEXT"));
    }
}
