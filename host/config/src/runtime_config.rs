//! Configuration of the runtime that calls guests.
//!
//! Knows nothing of wasmtime; [`RuntimeConfig::limits`] converts to the limits of the engine.

use std::time::Duration;

use herd_runtime::{Limits, Reservation};
use serde::{Deserialize, Serialize};

/// Table `[runtime]`. None of it changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Worker threads of the process. Default 0: one per processor. Raised, memory grows, because every worker has an instance
    /// of every live generation of every node.
    pub workers: usize,
    /// True if the node compiles the guests that it is swapped to. Default true. False on a host whose processor has other work: it gets their
    /// code as a build without a compiler does, see docs/compiled-code.md. The guest that it starts with is compiled all the same.
    pub compile: bool,
    /// Milliseconds of processor time per call of a guest. Default 10. Raised, a guest that loops blocks the sessions of its
    /// worker for longer.
    pub deadline_ms: u64,
    /// MiB of memory per instance. Default 16. Raised, the memory of the process can grow by the difference per worker,
    /// generation and node.
    pub memory_mib_max: usize,
    /// Highest `deadline_ms` that a guest is granted if it states a need for more than the one above, as guests in Python and JavaScript
    /// do. Default 100. Raised, such a guest may block the sessions of its worker for longer.
    pub needs_deadline_ms_max: u64,
    /// Highest `memory_mib_max` that a guest is granted if it states a need for more than the one above. Default 128. Raised, the
    /// memory of the process can grow by the difference per worker, generation and node with such a guest.
    pub needs_memory_mib_max: usize,
    /// Address space that the memory of each instance reserves. Default `"large"`, some 4 GiB, and terabytes for the pool of all. `"small"` is
    /// for emulators and machines with little address space: guests check the bounds of their memory and are slower, and machine code
    /// that was compiled ahead has to be for a target with `+small`.
    pub reservation: Reservation,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            compile: true,
            deadline_ms: 10,
            memory_mib_max: 16,
            needs_deadline_ms_max: 100,
            needs_memory_mib_max: 128,
            reservation: Reservation::Large,
        }
    }
}

impl RuntimeConfig {
    /// Converts to the limits of the engine.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            deadline: Duration::from_millis(self.deadline_ms.max(1)),
            memory_bytes_max: self.memory_mib_max.max(1) << 20,
            fuel_max: None,
            deadline_ceiling: Duration::from_millis(self.needs_deadline_ms_max),
            memory_bytes_ceiling: self.needs_memory_mib_max << 20,
            reservation: self.reservation,
        }
    }
}
