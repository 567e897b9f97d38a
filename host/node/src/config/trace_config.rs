//! Configuration of traces: how many arrivals a node remembers, and whether with the addresses of clients.

use serde::{Deserialize, Serialize};

/// Table `[trace]`. None of it changes while a node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceConfig {
    /// Number of reports of which a node remembers when and from where they came, for `herd trace`; 0 for none. Those of a link that were
    /// dropped as known count too. Raising it takes 48 bytes of memory each, from the start. Default 65,536.
    pub arrivals: usize,
    /// False if the addresses of clients are not to be remembered. Default: true.
    pub addresses: bool,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self { arrivals: 1 << 16, addresses: true }
    }
}
