//! Priority of the calling thread.
//!
//! For threads that compute beside the workers. Owns nothing.

/// Lowers the priority of the calling thread for the rest of its life, by this many steps of a nice value. Linux only. If the system
/// refuses, the thread competes with the workers at normal priority; nothing else changes.
pub fn lower_priority(steps: i32) {
    // On Linux a nice value belongs to a thread. POSIX gives it to the process, where this would slow down the workers too.
    // Relative to the first thread: a thread inherits the value of the one that starts it, and low priorities must not add up.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::getpriority_process(Some(rustix::process::getpid()))
        .and_then(|of_process| rustix::process::setpriority_process(None, of_process + steps))
    {
        tracing::debug!(%error, "cannot lower the priority of a background thread");
    }
}
