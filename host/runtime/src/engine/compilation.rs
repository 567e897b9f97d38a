//! Threads that compile, in builds with a compiler.
//!
//! Owns their number and their priority. Knows nothing of what is compiled. Bounds: [`COMPILE_THREADS_MAX`] threads, for the whole process.

use std::num::NonZero;
use std::sync::OnceLock;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

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

/// A guest has some hundred functions, and a few large ones: more threads hardly shorten its compilation.
const COMPILE_THREADS_MAX: usize = 8;
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
}
