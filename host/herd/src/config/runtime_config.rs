//! The configuration of the runtime.

use std::time::Duration;

use herd_runtime::Limits;
use serde::{Deserialize, Serialize};

/// What guests may take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Worker threads. Default 0: one per processor.
    pub workers: usize,
    /// Milliseconds of processor time per call. Default 10. Raised, a guest that loops holds a worker for longer.
    pub deadline_ms: u64,
    /// MiB of memory per instance, of which there is one per worker, generation and node. Default 16.
    pub memory_mib_max: usize,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self { workers: 0, deadline_ms: 10, memory_mib_max: 16 }
    }
}

impl RuntimeConfig {
    /// As the engine wants it.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            deadline: Duration::from_millis(self.deadline_ms.max(1)),
            memory_bytes_max: self.memory_mib_max.max(1) << 20,
        }
    }
}
