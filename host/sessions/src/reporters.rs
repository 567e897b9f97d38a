//! Groups of clients and the names under which they may report, as the configuration says.

use std::collections::BTreeMap;

use herd_model::Digest;
use serde::{Deserialize, Serialize};

/// The `[sessions.reporters]` table of the configuration: groups of clients by a name of the operator's choice. Read at the start.
/// Empty, which is the default, everybody may report under every name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reporters(pub BTreeMap<String, Reporter>);

impl Reporters {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A group of clients, by what they know, and the names under which they may report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reporter {
    /// SHA-256 of the token that a session of the group sends in its first line, in hexadecimal digits. Without it, the group is that
    /// of all sessions that send no token. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_sha256: Option<Digest>,
    /// Names of clients. A `*` at the end stands for any end, also an empty one. Required.
    pub clients: Vec<String>,
}
