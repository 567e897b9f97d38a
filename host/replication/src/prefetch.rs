//! Bringing memory near before it is needed.
//!
//! Where millions of clients report at random, every record that is offered waits for memory that no cache holds. A
//! call brings many offers, so their waits can overlap: first all are asked for, then each is used.

/// Asks for the first cache lines of some bytes. Changes nothing but when they arrive.
#[inline]
pub(super) fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(LINE_BYTES).take(LINES_MAX) {
        prefetch_line(line.as_ptr());
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing that the program could see and cannot fault, whatever the address.
    #[allow(unsafe_code, reason = "there is no safe name for this instruction")]
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
}

/// Elsewhere there is no stable name for it, and records come when they are used.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch_line(_: *const u8) {}

const LINE_BYTES: usize = 64;
/// The usual record with its key and rank has three.
const LINES_MAX: usize = 4;
