//! Limits on the files of one log.

use serde::{Deserialize, Serialize};

/// Configuration of the audit logs, the section `[audit]`.
///
/// ```
/// assert_eq!(herd_audit::AuditLimits::default().mib_max, 16);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditLimits {
    /// MiB on the disk for the log of one node, 1 to 4096. Default 16, about 40,000 entries. The oldest files beyond it
    /// are removed. Raised, the state directory grows, and so do time and memory of `herd audit`, which reads the whole
    /// log. Takes effect when the node starts; a smaller value removes files with the first entry after that.
    pub mib_max: usize,
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self { mib_max: 16 }
    }
}

/// The limits in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Size that a file does not exceed: an append that would exceed it begins the next file.
    pub(super) file_bytes_max: u64,
    /// Size that all files of lines together do not exceed, apart from the moment between a new file and the removal of
    /// an old one.
    pub(super) bytes_max: u64,
}

impl From<&AuditLimits> for Bounds {
    fn from(limits: &AuditLimits) -> Self {
        let bytes_max = (limits.mib_max.clamp(1, MIB_MAX) as u64) << 20;
        // A sixteenth, so that a drop never costs more than that share of the history. At most 1 MiB, because a drop reads
        // the whole file.
        Self { file_bytes_max: (bytes_max / 16).min(1 << 20), bytes_max: bytes_max - HEAD_RESERVE }
    }
}

/// Limit of the configuration: `herd audit` holds a log in memory.
const MIB_MAX: usize = 4096;
/// Bytes for the head and its draft, 1 KiB each and rounded up to blocks of a disk.
const HEAD_RESERVE: u64 = 8 << 10;
