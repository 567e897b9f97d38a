//! Configuration of classic links: plain `AT` lines from and to older programs, while a herd is moved over.
//!
//! Where a node listens and which peers it sends to is in its own table; what holds for all nodes is here.

use std::time::Duration;

use herd_peers::classic::{ClassicConnections, ClassicLimits};
use herd_sessions::{AddressLimits, Network, SessionLimits};
use serde::{Deserialize, Serialize};

/// Table `[classic]`. None of it changes while a node runs. Without `classic` and `classic_peers` in the table of a node it has no effect.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassicConfig {
    /// Networks from which `AT` lines are taken, on the `classic` address of a node. All other connections are closed at once. Whoever is in
    /// one can report in the name of any node and client. Loopback is in none unless it stands here. Required with a `classic` address.
    /// Default: empty.
    pub accept: Vec<Network>,
    /// Connections on which peers take lines: `per-line`, one for each, or `kept`, one for all. `kept` is faster, and right only for peers
    /// that read lines until the end of a connection. Default `per-line`.
    pub connections: ClassicConnections,
    /// Connections from all peers together; one more is closed at once. Default 1024.
    pub connections_max: usize,
    /// Connections from one address, or one /64 of IPv6; one more is closed at once. Default 128.
    pub connections_per_address_max: usize,
    /// Bytes of a line without its line end. A longer one is dropped, and its connection ends. Default 65,536, which is also the maximum.
    pub line_bytes_max: usize,
    /// Seconds from the first byte of a line to its end. Default 60.
    pub unfinished_line_s: u64,
    /// Seconds without a line after which a connection is closed. Default 3600.
    pub idle_s: u64,
    /// MiB of records that wait for a peer. Over it they are dropped, and the peer is sent everything. Default 4.
    pub queue_mib_max: usize,
    /// Seconds between two times that a peer is sent all records, in case it was started again and this node did not notice. 0 for never.
    /// Default 300.
    pub resend_s: u64,
}

impl Default for ClassicConfig {
    fn default() -> Self {
        Self {
            accept: Vec::new(),
            connections: ClassicConnections::default(),
            connections_max: 1024,
            connections_per_address_max: 128,
            line_bytes_max: 64 << 10,
            unfinished_line_s: 60,
            idle_s: 3600,
            queue_mib_max: 4,
            resend_s: 300,
        }
    }
}

impl ClassicConfig {
    /// Returns the limits of what peers send.
    #[must_use]
    pub fn sessions(&self) -> SessionLimits {
        SessionLimits {
            sessions_max: self.connections_max,
            sessions_per_address_max: self.connections_per_address_max,
            line_bytes_max: self.line_bytes_max,
            unfinished_line_s: self.unfinished_line_s,
            idle_s: self.idle_s,
            // Loopback is no exception: several peers of a test herd are there.
            per_address: AddressLimits { allow: self.accept.clone(), exempt: Vec::new(), ..AddressLimits::default() },
            ..SessionLimits::default()
        }
    }

    /// Returns the limits of what peers are sent.
    #[must_use]
    pub fn peers(&self) -> ClassicLimits {
        ClassicLimits {
            connections: self.connections,
            queue_bytes_max: self.queue_mib_max << 20,
            resend: (self.resend_s > 0).then(|| Duration::from_secs(self.resend_s)),
        }
    }
}
