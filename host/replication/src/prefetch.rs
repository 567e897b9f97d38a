//! Prefetching of memory before it is read.
//!
//! Where millions of clients report at random, every lookup waits for memory that no cache holds. A call brings many
//! keys, so their waits can overlap: the caller first prefetches all of them and then looks each one up.
//!
//! Owns the one instruction for it. Bounds: cache lines per prefetch.

/// Prefetches the first cache lines of `bytes`. Affects timing only.
#[inline]
pub(super) fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(LINE_BYTES).take(LINES_MAX) {
        prefetch_line(line.as_ptr());
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn prefetch_line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch has no effect that the program could observe, and cannot fault at any address.
    #[allow(unsafe_code, reason = "no safe function issues this instruction")]
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
}

/// Does nothing: stable Rust has no prefetch for other architectures, so memory is loaded when it is used.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn prefetch_line(_: *const u8) {}

const LINE_BYTES: usize = 64;
/// A usual record with its key and rank fills three lines.
const LINES_MAX: usize = 4;
