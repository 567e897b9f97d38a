//! Low-priority threads for background work: rehearsal, comparison, making cases. Compilation has its own (`compilation`).
//!
//! Owns the priority of such threads and the wait for them. It knows nothing of the work. A thread of normal priority that
//! computes for some milliseconds would finish its time slice while a worker waits for a processor, and clients would
//! measure that as latency.
//!
//! Bounds: one thread per call, which ends with the call.

use std::panic::resume_unwind;
use std::thread;

use crate::replay::timer_runtime::timer_runtime;

/// Runs work on a low-priority thread of its own and waits for it. Runs it on the calling thread if the system has no
/// thread to give.
///
/// # Panics
///
/// If the work panics, with the same payload.
pub(crate) fn run_at_low_priority<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    // In an option that both threads can reach: if the spawn fails, the closure is dropped without having run, and the work
    // must still be here.
    let mut work = Some(work);
    let result = thread::scope(|scope| {
        let work = &mut work;
        let body = move || {
            lower_priority();
            // A guest that sleeps registers a timer, which panics outside a runtime. This thread has none of its own.
            let _entered = timer_runtime().enter();
            work.take().map(|work| work())
        };
        let thread = thread::Builder::new().name(name.into()).spawn_scoped(scope, body).ok()?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    result.or_else(|| work.map(|work| work())).expect("the work ran on one of the two threads")
}

/// Lowers the priority of the calling thread for the rest of its life. Linux only. If the system refuses, the thread competes
/// with the workers at normal priority; nothing else changes.
pub(crate) fn lower_priority() {
    herd_sys::lower_priority(NICE);
}

/// About a tenth of the processor share of a thread at normal priority (weight 110 against 1024).
const NICE: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn low_priority_does_not_add_up_over_threads_that_start_others() {
        let nice = || rustix::process::nice(0).unwrap();
        let inner = run_at_low_priority("herd-test", || run_at_low_priority("herd-test", nice));
        assert_eq!(inner, (nice() + NICE).min(19), "19 is the lowest");
    }

    #[test]
    fn low_priority_work_runs_on_a_named_thread_and_its_panic_reaches_the_caller() {
        let mut count = 0;
        let name = run_at_low_priority("herd-test", || {
            count += 1;
            thread::current().name().map(ToString::to_string)
        });
        assert_eq!((name.as_deref(), count), (Some("herd-test"), 1));
        let panics = std::panic::catch_unwind(|| run_at_low_priority("herd-test", || panic!("as it should")));
        assert_eq!(panics.unwrap_err().downcast_ref::<&str>(), Some(&"as it should"));
    }
}
