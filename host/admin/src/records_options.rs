//! Options of requests about records, and their form in a body.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::hex_bytes::HexBytes;

/// Key of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyOptions {
    /// The key.
    pub key: HexBytes,
}

/// Page of a list of records, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageOptions {
    /// Beginning of the keys. Default: empty, for all of them.
    #[serde(default)]
    pub prefix: HexBytes,
    /// Last key of the page before. Default: none, for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<HexBytes>,
    /// Most keys of the page. The node may return fewer, and returns none only at the end.
    pub limit: usize,
}

/// Directory on the machine of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryOptions {
    /// Absolute path.
    pub directory: PathBuf,
}
