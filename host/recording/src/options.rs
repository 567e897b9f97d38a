//! Options of a recording: the `[record]` table of the configuration.

use herd_model::Share;
use serde::{Deserialize, Serialize};

/// Recording of decisions, from which `herd replay` makes them again. Contains what clients send. None of it changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordOptions {
    /// Records decisions to `recordings/NODE` in the state directory of the herd. Default false.
    pub enabled: bool,
    /// MiB of log of each node. Over it the oldest segment, of an eighth or of 128 MiB, is deleted. Raising it keeps decisions for longer.
    /// A decision takes some 500 bytes. Default 1024.
    pub mib_max: u64,
    /// Share of the guest calls that are recorded, such as "10%". A call is recorded whole or not at all, and replays exactly either way.
    /// Default "100%".
    pub share: Share,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self { enabled: false, mib_max: 1024, share: Share::ALL }
    }
}
