//! Listener on which a session was accepted.

/// Listener of a node. Instances that decide for another listener than that of clients are told so, by a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listener {
    /// That of clients.
    #[default]
    Clients,
    /// That of classic links.
    Classic,
}

impl Listener {
    /// Returns the name and value of the setting that names the listener. None for that of clients.
    #[must_use]
    pub fn setting(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Clients => None,
            Self::Classic => Some(("listener", "classic")),
        }
    }
}
