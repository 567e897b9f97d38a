//! Metrics of the process under the names that every Prometheus client uses, from `/proc/self`.
//!
//! All nodes of a process tell the same, but for the start: counters begin with the node, also in a process that became another program
//! and has the id of the old one. A figure that the system does not tell is left out.

use std::fmt;
use std::fs;

use herd_sys::{HostMemory, memory_is_short};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::families::Families;

/// Writes the metrics of the process. The node started at this time since the Unix epoch, in seconds.
pub(super) fn write(families: &mut Families<'_, '_>, started_s: f64) -> fmt::Result {
    families.gauge(
        "process_start_time_seconds",
        "Time at which the process started, since the Unix epoch",
        started_s,
    )?;
    if let Some([user, system, threads, pages]) = stat() {
        let ticks = clock_ticks_per_second() as f64;
        let seconds = (user + system) as f64 / ticks;
        families.counters("process_cpu_seconds", "Processor time of the process, user and system", [([], seconds)])?;
        families.gauge("process_threads", "Threads of the process", threads as f64)?;
        let resident = pages as f64 * page_size() as f64;
        families.gauge("process_resident_memory_bytes", "Memory of the process that is in RAM", resident)?;
    }
    if let Some(memory) = HostMemory::read() {
        families.gauge(
            "herd_memory_limit_bytes",
            "Memory that the process may use: that of its control group or of the machine",
            memory.bytes_max() as f64,
        )?;
        if let Some(used) = memory.bytes_used() {
            families.gauge(
                "herd_memory_used_bytes",
                "Memory in use within that limit, without pages of files",
                used as f64,
            )?;
        }
        let short = f64::from(u8::from(memory_is_short()));
        families.gauge(
            "herd_memory_short",
            "1 while new clients and new keys are refused because memory is short",
            short,
        )?;
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The directory itself is one of them.
        let open = open.count().saturating_sub(1);
        families.gauge("process_open_fds", "Open file descriptors", open as f64)?;
    }
    match getrlimit(Resource::Nofile).current {
        Some(limit) => families.gauge("process_max_fds", "Limit of open file descriptors", limit as f64),
        None => Ok(()),
    }
}

/// Returns ticks in user mode, ticks in the kernel, threads, and resident pages.
fn stat() -> Option<[u64; 4]> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name of the program, which may contain anything; the fields behind it begin with the third.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse().ok();
    Some([field(14)?, field(15)?, field(20)?, field(24)?])
}
