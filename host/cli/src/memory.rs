//! Memory of the host: limits that fit it, and a thread that notices when it is short.
//!
//! Owns the thread, which lives as long as the process, and what it logs. What is refused meanwhile is up to the parts.

use std::thread;

use herd_config::{HerdConfig, LoweredLimit};
use herd_sys::clock::unix_now;
use herd_sys::{HostMemory, LogThrottle, memory_is_short};

/// Returns the configuration with the defaults that this host has room for, with so many nodes in this process.
pub(super) fn fitted(config: &HerdConfig, nodes: usize) -> HerdConfig {
    let mut config = config.clone();
    let Some(memory) = HostMemory::read() else { return config };
    let lowered = config.fit(memory.bytes_max(), nodes);
    // Five nodes in one process have no room for their defaults on any usual machine, and nobody has to know.
    if memory.is_small() && !lowered.is_empty() {
        tracing::info!(
            memory_mib = memory.bytes_max() >> 20,
            set_by = memory.set_by(),
            limits = %listed(&lowered),
            "limits lowered to what the memory has room for; those that the configuration sets stay"
        );
    }
    config
}

/// Lists limits for people.
pub(super) fn listed(limits: &[LoweredLimit]) -> String {
    limits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Starts the thread that looks at the memory for the rest of the process. Without it nothing is refused for want of memory.
pub(super) fn watch() {
    let Some(memory) = HostMemory::read() else { return };
    let log = LogThrottle::new(1);
    let look = move || {
        loop {
            if memory.watch()
                && let Some(suppressed) = log.admit(unix_now())
            {
                let (used_mib, max_mib) = (memory.bytes_used().unwrap_or_default() >> 20, memory.bytes_max() >> 20);
                match memory_is_short() {
                    true => tracing::warn!(
                        used_mib,
                        max_mib,
                        suppressed,
                        "memory is short: new clients and new keys are refused"
                    ),
                    false => tracing::info!(used_mib, max_mib, suppressed, "memory is free again"),
                }
            }
            thread::sleep(memory.interval());
        }
    };
    if let Err(error) = thread::Builder::new().name("herd-memory".into()).spawn(look) {
        tracing::warn!(%error, "the thread that looks at the memory does not start, so nothing is refused before the kernel ends the process");
    }
}
