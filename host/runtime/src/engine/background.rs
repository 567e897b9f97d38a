//! Low-priority threads for background work: compilation, rehearsal, comparison, making cases.
//!
//! Owns the priority of such threads and the wait for them. It knows nothing of the work. A thread of normal priority that
//! computes for some milliseconds would finish its time slice while a worker waits for a processor, and clients would
//! measure that as latency.
//!
//! Bounds: one thread per call, which ends with the call; [`COMPILE_THREADS_MAX`] threads for compilation.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

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

/// Runs a compilation on the threads for it, and waits for it. wasmtime compiles functions in parallel on the pool of threads that
/// it finds itself in. Without one of its own that would be the pool of the process, with a thread of normal priority for
/// every processor. Runs it on the calling thread, and so on that pool, if the system has no threads to give.
///
/// # Panics
///
/// If the compilation panics, with the same payload.
pub(crate) fn compile_at_low_priority<T: Send>(compile: impl FnOnce() -> T + Send) -> T {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let make = || {
        let pool = ThreadPoolBuilder::new()
            .num_threads(compile_threads(thread::available_parallelism().map_or(1, NonZero::get)))
            .thread_name(|number| format!("herd-compile-{number}"))
            .start_handler(|_| herd_sys::lower_priority(NICE_OF_COMPILATION));
        pool.build().inspect_err(|error| tracing::warn!(%error, "no threads of its own for compilation")).ok()
    };
    match POOL.get_or_init(make) {
        Some(pool) => pool.install(compile),
        None => compile(),
    }
}

/// Returns the number of threads that compile on a machine with this many processors: half of them, and two where they exist,
/// because a node that starts without cached code waits for this.
fn compile_threads(processors: usize) -> usize {
    (processors / 2).max(2).min(processors).clamp(1, COMPILE_THREADS_MAX)
}

/// Lowers the priority of the calling thread for the rest of its life. Linux only. If the system refuses, the thread competes
/// with the workers at normal priority; nothing else changes.
pub(crate) fn lower_priority() {
    herd_sys::lower_priority(NICE);
}

/// A guest has some hundred functions, and a few large ones: more threads hardly shorten its compilation.
const COMPILE_THREADS_MAX: usize = 8;
/// About a tenth of the processor share of a thread at normal priority (weight 110 against 1024).
const NICE: i32 = 10;
/// Little below the workers (weight 820 against 1024): an author who saved a file waits for its compilation, which is over in half a
/// second. The number of threads keeps it off the other processors.
const NICE_OF_COMPILATION: i32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a compilation takes no processor from the workers. Method: the priority of every thread that it runs on, as the
    /// system reports it.
    #[cfg(target_os = "linux")]
    #[test]
    fn compilation_runs_on_few_threads_of_low_priority() {
        let nice = || rustix::process::nice(0).unwrap();
        let own = nice();
        let priorities = compile_at_low_priority(|| rayon::broadcast(|_| nice()));
        assert!(priorities.iter().all(|&nice| nice > own), "{priorities:?}");
        assert_eq!([1, 2, 4, 8, 64].map(compile_threads), [1, 2, 2, 4, 8]);
    }

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
