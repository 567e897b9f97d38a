//! Constants of the places file format, shared by the decoder and its errors.

/// First bytes of every places file.
pub(super) const MAGIC: &[u8; 8] = b"HERDPLCS";

/// The only format version that this program reads.
pub(super) const VERSION: u32 = 1;

/// Three times today's data. Keeps a frame that lies about its size from taking the memory of the
/// host.
pub(super) const UNPACKED_BYTES_MAX: u64 = 16 * 1024 * 1024;
