//! Limits on what the clients of one address may do.

use serde::{Deserialize, Serialize};

use crate::core::token_bucket::Rate;
use crate::network::Network;

/// The `[sessions.per_address]` table of the configuration. Read at the start; no limit changes while a node runs.
///
/// All clients of an IPv4 address share its limits, and all of an IPv6 /64, which is what one subscriber has. A limit of 0 is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressLimits {
    /// Networks whose clients are accepted. Connections from other addresses are closed at once. Default: empty, which is every
    /// address. It counts for loopback too: add `127.0.0.0/8` and `::1` for clients on the same host.
    pub allow: Vec<Network>,
    /// Networks without a limit per address, such as that of a proxy. Default: loopback.
    pub exempt: Vec<Network>,
    /// New connections a second; one more is closed at once. Default 0.
    pub connections_per_s: u32,
    /// Lines a second, of all sessions of the address. Over it nothing is read until the rate is met: clients are slowed down, and no
    /// line is lost. Default 0.
    pub lines_per_s: u32,
    /// KiB of input a second, of all sessions of the address, with the same effect. Default 0.
    pub kib_per_s: u32,
    /// Seconds for which each of the three rates may be saved up: a burst has at most as much as so many seconds. Raised, a client that
    /// was quiet may do more at once. Default 5.
    pub burst_s: u32,
}

impl Default for AddressLimits {
    fn default() -> Self {
        let exempt = ["127.0.0.0/8", "::1/128"].map(|loopback| loopback.parse().expect("a network of loopback"));
        Self {
            allow: Vec::new(),
            exempt: exempt.into(),
            connections_per_s: 0,
            lines_per_s: 0,
            kib_per_s: 0,
            burst_s: 5,
        }
    }
}

impl AddressLimits {
    pub(crate) fn connections(&self) -> Option<Rate> {
        Rate::new(self.connections_per_s.into(), self.burst_s)
    }

    pub(crate) fn lines(&self) -> Option<Rate> {
        Rate::new(self.lines_per_s.into(), self.burst_s)
    }

    pub(crate) fn bytes(&self) -> Option<Rate> {
        Rate::new(u64::from(self.kib_per_s) << 10, self.burst_s)
    }
}
