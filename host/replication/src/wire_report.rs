//! Report as it travels between nodes.
//!
//! Owns the wire format of one report: its fields in this order, in postcard. Changing it changes the version of the link
//! protocol. Bounds: checked by ingest, since a decoded report only borrows from its frame.

use serde::{Deserialize, Serialize};

/// A record with its key, rank and origin, as it travels. Borrows from the buffer it was decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireReport<'a> {
    /// Key of the record.
    #[serde(with = "serde_bytes", borrow)]
    pub key: &'a [u8],
    /// Reign of the key.
    pub reign: u64,
    /// Rank that the guest of the origin gave.
    #[serde(with = "serde_bytes", borrow)]
    pub rank: &'a [u8],
    /// Form in which the record was written.
    pub form: u32,
    /// Record, opaque to the host.
    #[serde(with = "serde_bytes", borrow)]
    pub record: &'a [u8],
    /// Node that accepted the record from a client.
    #[serde(borrow)]
    pub origin: &'a str,
}
