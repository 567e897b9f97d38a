//! Limits of a record table.

use serde::{Deserialize, Serialize};

/// The `[records]` table of the configuration. It does not change while a node runs.
///
/// Both limits refuse reports of clients only. Reports of peers are always kept, because a limit there would keep nodes
/// from converging.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordLimits {
    /// Number of keys. Over it a new key is refused with an answer; known keys go on. Raising it
    /// raises memory by a hash slot and a header per key, besides the bytes of `mib_max`. Default 10,000,000.
    pub keys_max: usize,
    /// MiB of keys, ranks and records together. Over it no client's record may grow. Default 4096.
    pub mib_max: usize,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self { keys_max: 10_000_000, mib_max: 4096 }
    }
}
