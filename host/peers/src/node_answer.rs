//! Answer of a node to a member that asks who it is. Holds data only; `probe` asks, and `handshake` answers.

use herd_sys::clock::unix_now_ns;
use serde::{Deserialize, Serialize};

use super::protocol_version::{PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};

/// Answer of a node to a member that asks who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAnswer {
    /// Versions of the link protocol that it speaks, the lowest first.
    pub protocols: (u16, u16),
    /// Version of its program.
    pub program: String,
    /// Contract of its guests, such as `herd:logic@0.1.0`.
    pub contract: String,
    /// Its time, in nanoseconds since the Unix epoch.
    pub now_ns: u64,
}

impl NodeAnswer {
    /// Composes what a node of this program says of itself now, with this contract of its guests.
    #[must_use]
    pub fn of_this_program(contract: &str) -> Self {
        Self {
            protocols: (PROTOCOL_VERSION_MIN, PROTOCOL_VERSION),
            program: env!("CARGO_PKG_VERSION").into(),
            contract: contract.into(),
            now_ns: unix_now_ns(),
        }
    }
}
