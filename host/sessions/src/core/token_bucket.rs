//! Rate limit with a burst, which may be exceeded and is then waited for.
//!
//! The generic cell rate algorithm: the state is the time at which the bucket is full again, so it fills without a timer, and one
//! atomic holds it. The number of bytes and lines is known only once they were read. Therefore a bucket takes more than it has
//! and says how long its debt lasts. The crate `governor` refuses what it does not have, and has no debt.
//!
//! Owns no clock: times are nanoseconds since any point that all calls share.

use std::sync::atomic::{AtomicU64, Ordering};

/// A rate, and the most that a bucket saves up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    per_s: u64,
    /// Time in which an empty bucket fills.
    burst_ns: u64,
}

impl Rate {
    /// Returns the rate. `None` if `per_s` is 0, which is no limit.
    pub(crate) fn new(per_s: u64, burst_s: u32) -> Option<Self> {
        let burst_ns = u64::from(burst_s.max(1)) * NANOSECONDS;
        (per_s > 0).then_some(Self { per_s, burst_ns })
    }

    /// Returns the time in which the rate brings so many.
    fn time_ns(self, count: usize) -> u64 {
        // Of the whole batch and not of one, which at high rates takes less than a nanosecond. A read has at most 64 KiB.
        (count as u64).saturating_mul(NANOSECONDS).div_ceil(self.per_s)
    }
}

/// Remainder of one rate for one address. Shared by all workers without a lock.
#[derive(Debug, Default)]
pub(crate) struct TokenBucket {
    /// Time at which it is full again, in nanoseconds. In the past for a full one.
    full_at: AtomicU64,
}

impl TokenBucket {
    /// Takes so many, also if it has fewer. Returns the nanoseconds until it has no debt.
    pub(crate) fn charge(&self, rate: Rate, count: usize, now_ns: u64) -> u64 {
        let time = rate.time_ns(count);
        // Relaxed is enough: nothing but this bucket depends on the order.
        let charged = |full_at: u64| Some(full_at.max(now_ns).saturating_add(time));
        let before = match self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged) {
            Ok(before) | Err(before) => before,
        };
        // Of its own charge and those before it, and not of those that came since.
        before.max(now_ns).saturating_add(time).saturating_sub(now_ns).saturating_sub(rate.burst_ns)
    }

    /// Takes one. Returns false, and takes none, if it has less.
    pub(crate) fn take_one(&self, rate: Rate, now_ns: u64) -> bool {
        let time = rate.time_ns(1);
        let taken = |full_at: u64| {
            let full_at = full_at.max(now_ns).saturating_add(time);
            (full_at - now_ns <= rate.burst_ns).then_some(full_at)
        };
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Returns whether it is full, like that of an address that was never seen.
    pub(crate) fn is_full(&self, now_ns: u64) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now_ns
    }
}

const NANOSECONDS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = NANOSECONDS;

    fn rate() -> Rate {
        Rate::new(10, 2).unwrap()
    }

    #[test]
    fn bucket_gives_its_burst_and_then_its_rate() {
        let bucket = TokenBucket::default();
        let taken = |now| (0..100).filter(|_| bucket.take_one(rate(), now)).count();
        assert_eq!([taken(5 * SECOND), taken(5 * SECOND), taken(6 * SECOND)], [20, 0, 10]);
        assert_eq!(taken(100 * SECOND), 20, "no more than its burst is saved up");
    }

    #[test]
    fn bucket_in_debt_says_how_long_it_lasts() {
        let bucket = TokenBucket::default();
        assert_eq!(bucket.charge(rate(), 20, 0), 0, "the burst");
        assert_eq!(bucket.charge(rate(), 5, 0), SECOND / 2);
        assert_eq!(bucket.charge(rate(), 5, 0), SECOND, "debts add up");
        assert!(!bucket.take_one(rate(), SECOND));
        assert_eq!((bucket.charge(rate(), 0, SECOND), bucket.is_full(SECOND)), (0, false));
        assert!(bucket.is_full(3 * SECOND) && !bucket.is_full(3 * SECOND - 1));
    }

    #[test]
    fn rate_of_more_than_one_in_a_nanosecond_is_exact_for_a_batch() {
        let fast = Rate::new(4_000_000_000, 1).unwrap();
        let bucket = TokenBucket::default();
        bucket.charge(fast, 4000, 0);
        assert!(bucket.is_full(1000) && !bucket.is_full(999));
        assert!(Rate::new(0, 5).is_none());
    }

    #[test]
    fn debt_without_end_does_not_overflow() {
        let slow = Rate::new(1, u32::MAX).unwrap();
        let bucket = TokenBucket::default();
        for _ in 0..2 {
            bucket.charge(slow, usize::MAX, u64::MAX);
        }
        assert!(!bucket.take_one(slow, 0));
    }
}
