//! Listener on which a session was accepted.

use std::borrow::Cow;

use herd_sdk::Settings;

/// Listener of a node. Instances that decide for another listener than that of clients are told so, by a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listener {
    /// Listener for clients.
    #[default]
    Clients,
    /// Listener for classic links.
    Classic,
}

impl Listener {
    /// Returns the settings of an instance that decides for this listener, from those of the node. An instance for clients has the same; to
    /// another one `listener` names it.
    #[must_use]
    pub fn settings(self, of_node: &Settings) -> Cow<'_, Settings> {
        let value = match self {
            Self::Clients => return Cow::Borrowed(of_node),
            Self::Classic => "classic",
        };
        let mut settings = of_node.clone();
        settings.table.retain(|(name, _)| name != NAME);
        settings.table.push((NAME.into(), value.into()));
        settings.table.sort_unstable();
        Cow::Owned(settings)
    }
}

/// Name of the setting.
const NAME: &str = "listener";
