//! Status of a record table, as operators and scripts read it.

use std::collections::BTreeMap;

use herd_model::Digest;
use serde::Serialize;

/// Records of a node, in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct RecordsStatus {
    /// Number of keys, except those with a quarantined report only.
    pub keys: usize,
    /// Bytes of keys, ranks and records together.
    pub bytes: usize,
    /// Number of quarantined reports.
    pub quarantined: usize,
    /// Reports of clients that were refused for want of room since the start: `keys_max`, `mib_max`, or memory that was short.
    pub refused: u64,
    /// Number of keys by the form of their record.
    pub forms: BTreeMap<u32, usize>,
    /// Digest of all records that have not reached their boundary. Equal on two nodes of a herd exactly if they hold byte-equal records.
    pub digest: Digest,
}
