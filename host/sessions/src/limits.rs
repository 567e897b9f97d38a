//! Limits on one client, one address and all clients together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address_limits::AddressLimits;
use crate::reporters::Reporters;

/// The `[sessions]` table of the configuration. Read at the start; no limit changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionLimits {
    /// Sessions in total. One more is closed at once, without a reply. Default 65,536. All nodes of a process together also keep
    /// below its limit of open files, less what links, the admin API and files need; a node says so when it starts.
    pub sessions_max: usize,
    /// Sessions from one address, or one /64 of IPv6; one more is closed at once. Raise it where many clients share an address, as behind
    /// the NAT of a mobile carrier. It does not count for the addresses in `per_address.exempt`, which is loopback unless
    /// configured. Default 1024.
    pub sessions_per_address_max: usize,
    /// Bytes of a line without its line end. A longer line is answered with its first 64 bytes, and its session ends.
    /// Default 65,536, which is also the maximum.
    pub line_bytes_max: usize,
    /// Seconds from the first byte of a line to its end. Default 60.
    pub unfinished_line_s: u64,
    /// Seconds without input from a client that waits for no reply and no push. Default 3600.
    pub idle_s: u64,
    /// Seconds in which a client has to read some of its waiting output. Default 60.
    pub unread_s: u64,
    /// KiB of unsent output above which no more input of the client is read. Raising it costs memory per slow client.
    /// Default 256.
    pub output_kib_max: usize,
    /// Published messages that wait for one client; more are dropped and counted. Default 1024.
    pub pushes_max: usize,
    /// Limits on the clients of one address.
    pub per_address: AddressLimits,
    /// Names under which clients may report. Default: every name, for everybody.
    #[serde(skip_serializing_if = "Reporters::is_empty")]
    pub reporters: Reporters,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            sessions_max: 65_536,
            sessions_per_address_max: 1024,
            line_bytes_max: 64 << 10,
            unfinished_line_s: 60,
            idle_s: 3600,
            unread_s: 60,
            output_kib_max: 256,
            pushes_max: 1024,
            per_address: AddressLimits::default(),
            reporters: Reporters::default(),
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
