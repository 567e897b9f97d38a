//! `memcpy`, `memmove` and `memcmp` for programs that have musl in them, on x86-64.
//!
//! musl copies with `rep movsq` whatever the size, which is slow to begin, and compares byte by byte. Decisions copy short pieces: a tenth of
//! the time of a worker went there under pipelined load. A program that links this crate has these functions instead, because the linker
//! takes the first that it finds and musl comes last. On other platforms the crate exports nothing.
//!
//! Up to 128 bytes all is loaded before anything is stored, in two halves that may overlap; beyond, blocks of 64 bytes follow. Knows nothing
//! of its callers. No bounds: that is what the callers have.
#![cfg_attr(not(test), no_std)]
// Or the compiler would see that a loop here copies memory, and call memcpy. It also keeps the crate out of link-time optimization, where
// nothing of core is left to call: so arithmetic wraps explicitly, without checks that could panic.
#![no_builtins]
#![cfg(target_arch = "x86_64")]
#![expect(
    unsafe_code,
    reason = "these functions are what safe code is made of; the contract of each is that of the C library"
)]

use core::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8};

#[cfg(all(target_env = "musl", not(test)))]
mod exports {
    use core::ffi::c_int;

    /// # Safety
    ///
    /// `length` bytes at `from` are readable and `length` bytes at `to` are writable.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { super::copy(to, from, length) };
        to
    }

    /// # Safety
    ///
    /// As memcpy. The two may overlap.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { super::copy(to, from, length) };
        to
    }

    /// # Safety
    ///
    /// `length` bytes at `a` and at `b` are readable.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, length: usize) -> c_int {
        // SAFETY: as above.
        unsafe { super::compare(a, b, length) }
    }

    /// # Safety
    ///
    /// As memcmp.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, length: usize) -> c_int {
        // SAFETY: as above.
        unsafe { super::compare(a, b, length) }
    }
}

/// 64 bytes.
type Block = [__m128i; 4];
const BLOCK: usize = size_of::<Block>();

/// Copies bytes. The two ranges may overlap.
///
/// # Safety
///
/// `length` bytes at `from` are readable and `length` bytes at `to` are writable.
#[cfg_attr(not(any(test, target_env = "musl")), expect(dead_code, reason = "for musl alone"))]
#[inline(always)]
unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: each pair covers the range from both ends, and is no longer than it.
    unsafe {
        match length {
            0 => {}
            1 => *to = *from,
            2..4 => copy_pair::<u16>(to, from, length),
            4..8 => copy_pair::<u32>(to, from, length),
            8..16 => copy_pair::<u64>(to, from, length),
            16..=32 => copy_pair::<__m128i>(to, from, length),
            33..=64 => copy_pair::<[__m128i; 2]>(to, from, length),
            65..=128 => copy_pair::<Block>(to, from, length),
            _ => copy_blocks(to, from, length),
        }
    }
}

/// Copies what two values of a type cover, the first at the start and the second at the end.
///
/// # Safety
///
/// As [`copy`], with a length of one value to two.
#[inline(always)]
unsafe fn copy_pair<T: Copy>(to: *mut u8, from: *const u8, length: usize) {
    let last = length.wrapping_sub(size_of::<T>());
    // SAFETY: both values lie in the ranges. Both are loaded before one is stored, so the ranges may overlap.
    unsafe {
        let (head, tail) = (from.cast::<T>().read_unaligned(), from.add(last).cast::<T>().read_unaligned());
        to.cast::<T>().write_unaligned(head);
        to.add(last).cast::<T>().write_unaligned(tail);
    }
}

/// Copies more than two blocks.
///
/// # Safety
///
/// As [`copy`].
unsafe fn copy_blocks(to: *mut u8, from: *const u8, length: usize) {
    let last = length.wrapping_sub(BLOCK);
    // SAFETY: all blocks lie in the ranges. What a store may overwrite has been loaded: upwards, if the target lies lower or beyond the
    // source, each store ends below what is still to be loaded; downwards, if the target begins within the source, each begins above it. The
    // block at the other end, which may overlap with the one before it, is loaded first and stored last.
    unsafe {
        if (to as usize).wrapping_sub(from as usize) >= length {
            let tail = from.add(last).cast::<Block>().read_unaligned();
            let mut at = 0;
            while at < last {
                let block = from.add(at).cast::<Block>().read_unaligned();
                to.add(at).cast::<Block>().write_unaligned(block);
                at = at.wrapping_add(BLOCK);
            }
            to.add(last).cast::<Block>().write_unaligned(tail);
        } else {
            let head = from.cast::<Block>().read_unaligned();
            let mut at = last;
            while at > 0 {
                let block = from.add(at).cast::<Block>().read_unaligned();
                to.add(at).cast::<Block>().write_unaligned(block);
                at = at.saturating_sub(BLOCK);
            }
            to.cast::<Block>().write_unaligned(head);
        }
    }
}

/// Compares bytes, as unsigned numbers: negative, 0 or positive, as the first that differs is less in `a`, none does, or is greater in `a`.
///
/// # Safety
///
/// `length` bytes at `a` and at `b` are readable.
#[cfg_attr(not(any(test, target_env = "musl")), expect(dead_code, reason = "for musl alone"))]
#[inline(always)]
unsafe fn compare(a: *const u8, b: *const u8, length: usize) -> i32 {
    // SAFETY: all that is read lies in the ranges: values that begin within them and end there at the latest.
    unsafe {
        if length >= 16 {
            let last = length.wrapping_sub(16);
            let mut at = 0;
            while at < last {
                let differ = differ_16(a.add(at), b.add(at));
                if differ != 0 {
                    return first_difference(a.add(at), b.add(at), differ);
                }
                at = at.wrapping_add(16);
            }
            let differ = differ_16(a.add(last), b.add(last));
            return if differ == 0 { 0 } else { first_difference(a.add(last), b.add(last), differ) };
        }
        if length >= 8 {
            return compare_pair(length.wrapping_sub(8), |at| {
                [a, b].map(|of| u64::from_be(of.add(at).cast::<u64>().read_unaligned()))
            });
        }
        if length >= 4 {
            return compare_pair(length.wrapping_sub(4), |at| {
                [a, b].map(|of| u64::from(u32::from_be(of.add(at).cast::<u32>().read_unaligned())))
            });
        }
        let mut at = 0;
        while at < length {
            let (a, b) = (*a.add(at), *b.add(at));
            if a != b {
                return i32::from(a).wrapping_sub(i32::from(b));
            }
            at = at.wrapping_add(1);
        }
        0
    }
}

/// Returns a bit for each of 16 bytes, set where the two differ.
///
/// # Safety
///
/// 16 bytes at each are readable.
#[inline(always)]
unsafe fn differ_16(a: *const u8, b: *const u8) -> u32 {
    // SAFETY: as above; the instructions belong to every x86-64.
    unsafe {
        let equal = _mm_cmpeq_epi8(_mm_loadu_si128(a.cast()), _mm_loadu_si128(b.cast()));
        !_mm_movemask_epi8(equal) as u32 & 0xffff
    }
}

/// Compares the byte of the lowest bit.
///
/// # Safety
///
/// 16 bytes at each are readable, and one of the low 16 bits is set.
#[inline(always)]
unsafe fn first_difference(a: *const u8, b: *const u8, differ: u32) -> i32 {
    let at = differ.trailing_zeros() as usize;
    // SAFETY: one of 16 bytes.
    unsafe { i32::from(*a.add(at)).wrapping_sub(i32::from(*b.add(at))) }
}

/// Compares big-endian numbers of two sides, at the start and at `last`.
#[inline(always)]
fn compare_pair(last: usize, both: impl Fn(usize) -> [u64; 2]) -> i32 {
    let [a, b] = both(0);
    let [a, b] = if a == b { both(last) } else { [a, b] };
    i32::from(a > b).wrapping_sub(i32::from(a < b))
}

#[cfg(test)]
mod tests;
