//! Options of a request for the arrivals of a report, and their form in a body.

use serde::{Deserialize, Serialize};

use super::hex_bytes::HexBytes;

/// Report whose arrivals are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceOptions {
    /// The key.
    pub key: HexBytes,
    /// Stamp of the report. Default: that of the record that the node holds under the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<ReportStamp>,
}

/// Stamp of a report, by which every node of the herd knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportStamp {
    /// Name of the node whose client reported it.
    pub origin: String,
    /// Start of the process of that node, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Random number of that start, 8 bytes.
    pub random: HexBytes,
    /// Worker of that process.
    pub worker: u16,
    /// Number of the report among those of that worker.
    pub seq: u64,
}
