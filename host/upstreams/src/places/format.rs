//! Constants of the places file format, which the decoder and its errors share.
//!
//! `host/upstreams/data/build_places.py` writes and describes the format.

/// First bytes of every places file.
pub(super) const MAGIC: &[u8; 8] = b"HERDPLCS";

/// The only format version that this program reads.
pub(super) const VERSION: u32 = 2;

/// Limit of the unpacked file, three times the current data. Protects the memory of the host from a frame that declares a
/// wrong size.
pub(super) const UNPACKED_BYTES_MAX: u64 = 16 * 1024 * 1024;
