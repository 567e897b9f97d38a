//! Contexts: names for herds, so that commands find one without its files on the command line.
//!
//! A context says what the options say: the configuration, the certificate of an operator, and the state directory. `choice` decides which
//! one a command uses, `contexts_file` keeps them.

mod choice;
mod contexts_file;
mod name;

pub(crate) use self::choice::{Chosen, FollowsCurrent, NamedHerd, Origin, choose};
pub(crate) use self::contexts_file::{Context, ContextsFile};
pub(crate) use self::name::ContextName;
