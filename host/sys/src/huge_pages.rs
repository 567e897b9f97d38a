//! Huge pages of the process, of Linux.
//!
//! An allocator maps large regions and uses them bit by bit. In huge pages such a region takes memory that nothing uses, and a record table asks
//! for them where they pay. Owns nothing.

use std::io;

/// Has the kernel back memory with huge pages only where the process asks for them, also on a host where it would do so everywhere. Before
/// Linux 6.18 such a host can only be asked for none at all, and then has none for this process. If it refuses, the process takes more memory
/// and nothing else changes.
pub fn leave_huge_pages_to_advice() {
    if std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").is_ok_and(|modes| is_everywhere(&modes)) {
        let _ =
            disable_huge_pages(PR_THP_DISABLE_EXCEPT_ADVISED).or_else(|_too_old| disable_huge_pages(WITHOUT_EXCEPTION));
    }
}

/// Returns whether the kernel uses huge pages wherever it can, by the list of its modes, in which the one that is set has brackets.
fn is_everywhere(modes: &str) -> bool {
    modes.contains("[always]")
}

fn disable_huge_pages(exception: libc::c_ulong) -> io::Result<()> {
    let (disabled, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: this call takes numbers alone, and changes nothing but the size of pages that the kernel provides from now on.
    #[allow(unsafe_code, reason = "rustix has this call without exceptions only")]
    let result = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, disabled, exception, unused, unused) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// From `linux/prctl.h` of Linux 6.18; libc does not have it yet.
const PR_THP_DISABLE_EXCEPT_ADVISED: libc::c_ulong = 1 << 1;
const WITHOUT_EXCEPTION: libc::c_ulong = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_that_is_set_has_brackets() {
        assert!(is_everywhere("[always] madvise never\n"));
        assert!(!is_everywhere("always [madvise] never\n"));
        assert!(!is_everywhere("always madvise [never]\n"));
    }
}
