//! Options of a request for another log filter, and their form in a body.

use serde::{Deserialize, Serialize};

/// Filter of the log of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogOptions {
    /// Level, or filter such as `info,guest=debug`.
    pub filter: String,
}
