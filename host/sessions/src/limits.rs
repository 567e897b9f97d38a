//! What one client, one address and all clients together may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `[sessions]` table of the configuration. None of it changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionLimits {
    /// Sessions in total. One more is closed at once, without a word. Default 65,536; raise the limit of open files
    /// with it.
    pub sessions_max: usize,
    /// Sessions from one address. Default 16,384; lower it where clients are strangers.
    pub sessions_per_address_max: usize,
    /// Bytes of a line without its line end. A longer one is answered with its first 64 bytes, and the session ends.
    /// Default 65,536, which is also the most.
    pub line_bytes_max: usize,
    /// Seconds for an unfinished line from its first byte. Default 60.
    pub unfinished_line_s: u64,
    /// Seconds without a byte from a client that waits for nothing. Default 3600.
    pub idle_s: u64,
    /// Seconds in which a client has to take some of its waiting output. Default 60.
    pub unread_s: u64,
    /// KiB of waiting output above which nothing more is read from a client. Default 256.
    pub output_kib_max: usize,
    /// Pushes that wait for a client; more are dropped and counted. Default 1024.
    pub pushes_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            sessions_max: 65_536,
            sessions_per_address_max: 16_384,
            line_bytes_max: 64 << 10,
            unfinished_line_s: 60,
            idle_s: 3600,
            unread_s: 60,
            output_kib_max: 256,
            pushes_max: 1024,
        }
    }
}

impl SessionLimits {
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_s)
    }

    pub(crate) fn output_bytes_max(&self) -> usize {
        self.output_kib_max << 10
    }
}
