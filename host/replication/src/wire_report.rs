//! One report on its way to a peer.

use serde::{Deserialize, Serialize};

/// One report, as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireReport<'a> {
    /// The key.
    #[serde(with = "serde_bytes", borrow)]
    pub key: &'a [u8],
    /// The reign of the key.
    pub reign: u64,
    /// The rank its writer gave it.
    #[serde(with = "serde_bytes", borrow)]
    pub rank: &'a [u8],
    /// The form its writer wrote it in.
    pub form: u32,
    /// The record.
    #[serde(with = "serde_bytes", borrow)]
    pub record: &'a [u8],
    /// The node that took it from a client.
    #[serde(borrow)]
    pub origin: &'a str,
}
