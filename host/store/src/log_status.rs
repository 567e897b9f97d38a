//! Figures of a log.

use serde::{Deserialize, Serialize};

/// State of a [`Log`](crate::Log) for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// New records of clients are taken.
    pub accepts: bool,
    /// Last failure, while it is not made good.
    pub failure: Option<String>,
    /// Failures since the start. While the log has failed, further ones are not noticed.
    #[serde(default)]
    pub failures: u64,
    /// Bytes of entries that were appended since the start.
    #[serde(default)]
    pub appended_bytes: u64,
    /// Entries that were not logged because the log had failed. A recovery writes their records.
    pub entries_dropped: u64,
    /// Bytes that were appended and not written.
    pub buffered_bytes: u64,
    /// Bytes that were appended and not synced.
    pub unsynced_bytes: u64,
    /// Bytes of log files since the last snapshot.
    pub log_bytes: u64,
    /// Bytes of the last snapshot.
    pub snapshot_bytes: u64,
}
