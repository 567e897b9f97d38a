//! Expiry: when a record is no longer shown, and when it is removed.
//!
//! ```text
//! expires_at                 hidden from guests, by the clock of each node
//! + GRACE_S, next minute     its boundary: left out of digests, removed, and not taken from peers any more
//! ```
//!
//! The boundary is a function of the record alone. Nodes whose clocks differ reach it at different moments; a digest names its cut-off,
//! and a node that is past the boundary drops the record when a slower one sends it, so it does not come back. Bounds: none.

/// Time between the expiry of a record and its boundary, for offsets between the clocks of nodes. Ten minutes: twenty times the offset
/// at which `herd status` shows a fault.
pub(crate) const GRACE_S: u64 = 600;

/// Returns the time at which a record is removed, in seconds since the Unix epoch: a whole minute, so that nodes remove many at once and
/// seldom name different cut-offs. `u64::MAX` for one that never expires.
#[inline]
pub(crate) fn boundary(expires_at: u64) -> u64 {
    if expires_at == 0 {
        return u64::MAX;
    }
    expires_at.saturating_add(GRACE_S).checked_next_multiple_of(CUTOFF_S).unwrap_or(u64::MAX)
}

/// Returns the latest cut-off at a time.
#[inline]
pub(crate) fn cutoff(now_s: u64) -> u64 {
    now_s - now_s % CUTOFF_S
}

/// Distance of boundaries.
const CUTOFF_S: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundary_is_the_first_whole_minute_behind_the_grace() {
        assert_eq!([0, 1, 60, 61, u64::MAX].map(boundary), [u64::MAX, 660, 660, 720, u64::MAX]);
        assert_eq!([0, 59, 60, 719].map(cutoff), [0, 0, 60, 660]);
        assert_eq!(boundary(u64::MAX - GRACE_S), u64::MAX, "a minute that does not exist");
    }
}
