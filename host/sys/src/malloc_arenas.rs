//! Arenas of glibc's malloc, its separate heaps for threads.
//!
//! Unless it is told otherwise, malloc gives up to eight arenas for each processor to threads that meet at a lock. Under swaps every one of
//! them grows to hold parts of some generation, and gives little back. Owns nothing. Bounds: an arena for each processor, and two at least.

use std::env;
use std::thread::available_parallelism;

/// Has malloc keep one arena for each processor, so that memory stays level over swaps. An environment that has `MALLOC_ARENA_MAX` decides for
/// itself. To be called before the process has other threads, because arenas that there are stay.
pub fn limit_malloc_arenas() {
    if env::var_os("MALLOC_ARENA_MAX").is_some() {
        return;
    }
    let processors =
        available_parallelism().map_or(ARENAS_MIN, |count| count.get().try_into().unwrap_or(libc::c_int::MAX));
    // SAFETY: the call takes numbers alone, and sets a number that malloc compares with before it makes another arena.
    #[allow(unsafe_code, reason = "no crate has this setting of malloc as a safe function")]
    let _is_known = unsafe { libc::mallopt(libc::M_ARENA_MAX, processors.max(ARENAS_MIN)) };
}

/// With one, background threads would wait for the worker.
const ARENAS_MIN: libc::c_int = 2;
