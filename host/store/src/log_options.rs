//! Settings of a log.

use crate::store_config::{Durability, StoreConfig};

/// Settings of a [`Log`](crate::Log).
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Event that entries survive. In [`Durability::Disk`], entries of an earlier process that may not be on disk are written again.
    pub durability: Durability,
    /// Bytes of log files after which a snapshot is due, unless the last snapshot is larger.
    pub log_bytes_max: u64,
    /// Bytes of entries that may wait for the disk.
    pub buffer_bytes_max: usize,
    /// Random number that clients do not know: it keeps the bytes of a record from being taken for an entry.
    pub salt: u64,
    /// Write as a made-up later version does: with longer heads, and entries that this version skips. For simulators; no node does it.
    pub later: bool,
}

impl LogOptions {
    /// Bytes of entries that may wait for the disk, by default. At 100,000 reports of 200 bytes a second it fills within three
    /// seconds, longer than a disk that works takes for one sync.
    pub const BUFFER_BYTES_MAX: usize = 64 << 20;

    /// Returns options with the default buffer.
    pub fn new(config: &StoreConfig, salt: u64) -> Self {
        let StoreConfig { durability, .. } = *config;
        Self {
            durability,
            log_bytes_max: config.log_bytes_max(),
            buffer_bytes_max: Self::BUFFER_BYTES_MAX,
            salt,
            later: false,
        }
    }
}
