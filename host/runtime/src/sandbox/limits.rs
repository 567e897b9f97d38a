//! Limits of a guest: processor time or fuel per call, and memory per instance.
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
    /// Fuel per call in place of processor time: about one unit an instruction. Default none. With it, a decision is the same on every
    /// machine, also one that is cut off, which makes simulations repeatable; calls are slower.
    pub fuel_max: Option<u64>,
}

impl Limits {
    /// Fuel of a call in a simulation. A default deadline is some 50 million instructions.
    pub const FUEL_MAX: u64 = 50_000_000;
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_millis(10), memory_bytes_max: 16 << 20, fuel_max: None }
    }
}
