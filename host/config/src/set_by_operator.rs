//! Limits that the sources of a configuration set, as opposed to their defaults.
//!
//! Only says which; [`fit`](super::fit) lowers the others to the memory of the host.

/// Keys that the configuration sets, of those that memory lowers otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetByOperator([bool; KEYS.len()]);

impl SetByOperator {
    pub(super) fn of(table: &toml::Table) -> Self {
        let is_set = |key: &str| {
            let (part, name) = key.split_once('.')?;
            table.get(part)?.get(name)
        };
        Self(KEYS.map(|key| is_set(key).is_some()))
    }

    /// Returns for each of [`KEYS`] whether it is set.
    pub(super) fn flags(self) -> [bool; KEYS.len()] {
        self.0
    }
}

/// Limits that memory lowers, in the order of the flags.
pub(super) const KEYS: [&str; 6] = [
    "records.keys_max",
    "records.mib_max",
    "sessions.sessions_max",
    "links.queue_mib_max",
    "runtime.memory_mib_max",
    "runtime.needs_memory_mib_max",
];
