//! Limits of a guest: processor time or fuel per call and memory per instance, and what a guest may ask for beyond the defaults.
//!
//! Plain values; `deadline` and `host_state` enforce them.

use std::time::Duration;

use crate::engine::code_target::Reservation;
use crate::engine::needs::Needs;

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
    /// Highest processor time per call that a guest is granted if it states that it needs more than [`deadline`](Self::deadline).
    /// Default 100 ms.
    pub deadline_ceiling: Duration,
    /// Highest memory per instance, in bytes, that a guest is granted if it states that it needs more than
    /// [`memory_bytes_max`](Self::memory_bytes_max). Default 128 MiB.
    pub memory_bytes_ceiling: usize,
    /// Address space that the memory of an instance reserves. Default large.
    pub reservation: Reservation,
}

impl Limits {
    /// Fuel of a call in a simulation. A default deadline is some 50 million instructions.
    pub const FUEL_MAX: u64 = 50_000_000;

    /// Returns the memory that any instance may be granted, in bytes.
    pub(crate) fn memory_bytes_highest(&self) -> usize {
        self.memory_bytes_max.max(self.memory_bytes_ceiling)
    }

    /// Returns the limits of a guest with these needs: the defaults, raised to what it needs.
    ///
    /// # Errors
    ///
    /// It needs more than the ceilings. The text has both numbers, and completes a sentence that begins with "the guest".
    pub(crate) fn grant(self, needs: Needs) -> Result<Self, String> {
        let memory_bytes = needs.memory_mib.map_or(0, |mib| (mib as usize).saturating_mul(MIB));
        let deadline = Duration::from_millis(needs.deadline_ms.unwrap_or(0).into());
        // A need within the defaults is met by them, also where the ceilings are lower.
        if memory_bytes > self.memory_bytes_highest() {
            let (wanted, granted) = (memory_bytes / MIB, self.memory_bytes_highest() / MIB);
            return Err(format!(
                "states that it needs {wanted} MiB of memory, and this host grants at most {granted}; raise `runtime.needs_memory_mib_max`, or \
                 lower its `memory_mib` if it can do with less"
            ));
        }
        let deadline_highest = self.deadline.max(self.deadline_ceiling);
        if deadline > deadline_highest {
            let (wanted, granted) = (deadline.as_millis(), deadline_highest.as_millis());
            return Err(format!(
                "states that it needs {wanted} ms of processor time for a call, and this host grants at most {granted}; raise \
                 `runtime.needs_deadline_ms_max`, or lower its `deadline_ms` if it can do with less"
            ));
        }
        Ok(Self {
            deadline: self.deadline.max(deadline),
            memory_bytes_max: self.memory_bytes_max.max(memory_bytes),
            ..self
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(10),
            memory_bytes_max: 16 << 20,
            deadline_ceiling: Duration::from_millis(100),
            memory_bytes_ceiling: 128 << 20,
            reservation: Reservation::Large,
            fuel_max: None,
        }
    }
}

const MIB: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(memory_mib: u32, deadline_ms: u32) -> Needs {
        Needs { memory_mib: Some(memory_mib), deadline_ms: Some(deadline_ms) }
    }

    #[test]
    fn needs_are_granted_up_to_the_ceilings() {
        let limits = Limits::default();
        assert_eq!(limits.grant(Needs::default()), Ok(limits), "a guest without needs gets the defaults");
        assert_eq!(limits.grant(needs(1, 1)), Ok(limits), "the defaults are a floor");
        let granted = limits.grant(needs(128, 100)).unwrap();
        assert_eq!((granted.memory_bytes_max, granted.deadline), (128 << 20, Duration::from_millis(100)));
        let lowered = Limits { memory_bytes_ceiling: 1 << 20, deadline_ceiling: Duration::ZERO, ..limits };
        assert_eq!(lowered.grant(needs(16, 10)), Ok(lowered), "the defaults are granted below a low ceiling");
    }

    #[test]
    fn needs_above_a_ceiling_are_refused_with_both_numbers() {
        let memory = Limits::default().grant(needs(129, 1)).unwrap_err();
        assert!(memory.starts_with("states that it needs 129 MiB of memory, and this host grants at most 128; raise "));
        let time = Limits::default().grant(needs(1, 101)).unwrap_err();
        assert!(time.starts_with(
            "states that it needs 101 ms of processor time for a call, and this host grants at most 100; raise "
        ));
        assert!(Limits::default().grant(needs(u32::MAX, 1)).is_err());
    }
}
