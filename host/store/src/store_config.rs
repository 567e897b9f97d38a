//! Durability of the records, as configured.

use serde::{Deserialize, Serialize};

/// Event that the records of a node survive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: a node that restarts begins empty, and takes the records from its peers.
    Memory,
    /// The end of the process, also by `kill -9`: the operating system has a record before its reply leaves.
    #[default]
    Os,
    /// A loss of power: the disk has a record before its reply leaves.
    Disk,
}

/// The durability of the `[records]` table of the configuration. It does not change while a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Event that records survive: `memory`, `os` or `disk`. Each costs more than the one before: `os` a write per batch of decided
    /// lines, `disk` the wait of every reply for the disk. Default `os`.
    pub durability: Durability,
    /// MiB of log after which everything is written as a new snapshot and the log is cut, or the size of the last snapshot if that
    /// is more. Raising it writes fewer snapshots, takes more disk, and makes a start longer. Default 256.
    pub log_mib_max: u64,
}

impl StoreConfig {
    /// Returns the bytes of log after which a snapshot is due.
    pub const fn log_bytes_max(&self) -> u64 {
        self.log_mib_max.saturating_mul(1 << 20)
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { durability: Durability::Os, log_mib_max: 256 }
    }
}
