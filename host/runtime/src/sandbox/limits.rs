//! Limits of a guest: processor time per call and memory per instance.
//!
//! Plain values; `deadline` and `host_state` enforce them.

use std::time::Duration;

/// Limits of each guest instance, from the `[runtime]` table of the configuration. They do not change while a node runs.
///
/// ```
/// use std::time::Duration;
///
/// use herd_runtime::Limits;
///
/// let limits = Limits { deadline: Duration::from_millis(5), ..Limits::default() };
/// assert_eq!(limits.memory_bytes_max, 16 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processor time per call. Default 10 ms. Raised, a guest that loops blocks a worker thread for longer.
    pub deadline: Duration,
    /// Linear memory per instance, in bytes. Default 16 MiB. Raised, the host needs more memory: there is one instance per worker,
    /// generation and node, and a second one where the generation converts records.
    pub memory_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_millis(10), memory_bytes_max: 16 << 20 }
    }
}
