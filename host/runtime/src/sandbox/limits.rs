//! Limits of a guest: processor time per call and memory per instance.

use std::time::Duration;

/// What a guest may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processor time per call. Default 10 ms. Raised, a guest that loops holds a worker thread for longer.
    pub deadline: Duration,
    /// Linear memory per instance, in bytes. Default 16 MiB. There is one instance per worker, generation and
    /// node, and one more where a generation converts records.
    pub memory_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_millis(10), memory_bytes_max: 16 << 20 }
    }
}
