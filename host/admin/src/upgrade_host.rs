//! Port of the admin API to the process of the node: its replacement by another program.
//!
//! Owns the trait and the options of the request. Knows nothing of HTTP, and of how a process becomes another program.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host::Refusal;

/// Upgrade of the process in which the node runs, with all of its nodes.
pub trait UpgradeHost: Send + Sync + 'static {
    /// Has a program check that it can take over, and orders the upgrade. Returns what takes over from what; the process drains
    /// and becomes that program after that. Without a path, the program is the file with which this process was started.
    ///
    /// Blocks, for as long as the program checks its guests.
    ///
    /// # Errors
    ///
    /// The program cannot take over, or an upgrade is under way. Nothing changed.
    fn upgrade(&self, binary: Option<&Path>, operator: &str) -> Result<Value, Refusal>;
}

/// Options of an upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeOptions {
    /// Absolute path of the program. Default: the file with which the process was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<PathBuf>,
}
