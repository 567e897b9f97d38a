//! The `[records]` table of the configuration.

use herd_replication::RecordLimits;
use herd_store::{Durability, StoreConfig};
use serde::{Deserialize, Serialize};

/// Records: limits, durability and acknowledgement. None of it changes while a node runs.
///
/// Both limits refuse reports of clients only. Reports of peers are always kept, because a limit there would keep nodes
/// from converging.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordsConfig {
    /// Number of keys. Over it a new key is refused with an answer; known keys go on. Raising it
    /// raises memory by a hash slot and a header per key, besides the bytes of `mib_max`. Default 10,000,000.
    pub keys_max: usize,
    /// MiB of keys, ranks and records together. Over it no client's record may grow. Default 4096.
    pub mib_max: usize,
    /// Event that records survive: `memory` (none; a node that restarts takes them from its peers), `os` (the end of the process, also by
    /// `kill -9`) or `disk` (a loss of power). Each costs more than the one before. Default `os`.
    pub durability: Durability,
    /// MiB of log after which everything is written as a new snapshot and the log is cut, or the size of the last snapshot if that is
    /// more. Raising it writes fewer snapshots, takes more disk, and makes a start longer. Default 256.
    pub log_mib_max: u64,
    /// Number of neighbours that must have a record before its client is answered; 0 for none. Raising it makes replies wait for the
    /// network, and a report survives the loss of as many nodes. At most the number of links of the node with the fewest. Default 0.
    pub ack: usize,
    /// Seconds that a reply waits for the disk or for neighbours at most; then the client is told that its report is not confirmed.
    /// Default 5.
    pub confirm_s: u64,
    /// Seconds after which a record expires, from the time when its client reported; 0 for never. Default 0.
    pub expire_after_s: u64,
    /// Days for which every node remembers that a key was forgotten. A node that was away for longer takes its records from its peers.
    /// Default 30.
    pub forget_keep_days: u64,
}

impl RecordsConfig {
    /// Returns the limits of the record table.
    #[must_use]
    pub fn limits(&self) -> RecordLimits {
        RecordLimits { keys_max: self.keys_max, mib_max: self.mib_max }
    }

    /// Returns the settings of the log.
    #[must_use]
    pub fn store(&self) -> StoreConfig {
        StoreConfig { durability: self.durability, log_mib_max: self.log_mib_max }
    }
}

impl Default for RecordsConfig {
    fn default() -> Self {
        let RecordLimits { keys_max, mib_max } = RecordLimits::default();
        let StoreConfig { durability, log_mib_max } = StoreConfig::default();
        let (ack, confirm_s, expire_after_s, forget_keep_days) = (0, 5, 0, 30);
        Self { keys_max, mib_max, durability, log_mib_max, ack, confirm_s, expire_after_s, forget_keep_days }
    }
}
