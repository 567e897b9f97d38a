//! Number and bytes of the records of a table, against its limits.
//!
//! Knows nothing of shards. Bounds: those of [`RecordLimits`], as closely as counters without a lock keep them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::record_limits::RecordLimits;

/// Counters that all shards share.
///
/// Relaxed suffices everywhere: no other memory is read on the strength of a count. A check and the increment after it
/// are two steps, so workers that pass the check together exceed a limit by a record each. Exact limits would need a
/// lock that all workers share.
pub(super) struct Usage {
    limits: RecordLimits,
    keys: AtomicUsize,
    bytes: AtomicUsize,
    /// Asked before anything grows: true refuses it, whatever the limits say.
    is_short: OnceLock<fn() -> bool>,
    refused: AtomicU64,
}

impl Usage {
    /// Creates the counters of an empty table.
    pub(super) fn new(limits: RecordLimits) -> Self {
        let (keys, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { limits, keys, bytes, is_short: OnceLock::new(), refused: AtomicU64::new(0) }
    }

    /// Sets what is asked whether memory is short. Later calls have no effect.
    pub(super) fn ask(&self, is_short: fn() -> bool) {
        let _ = self.is_short.set(is_short);
    }

    /// Returns whether so many more keys and bytes fit, and counts a refusal. What does not grow always fits, or a full table could not even
    /// be updated.
    #[inline]
    pub(super) fn fits(&self, keys: usize, bytes: usize) -> bool {
        let more_keys = self.keys().saturating_add(keys);
        let more_bytes = self.bytes().saturating_add(bytes);
        let fits = (keys == 0 || more_keys <= self.limits.keys_max)
            && (bytes == 0 || more_bytes <= self.limits.mib_max.saturating_mul(1 << 20))
            && (keys == 0 && bytes == 0 || !self.is_short.get().is_some_and(|is_short| is_short()));
        if !fits {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// Counts a new key with its record.
    #[inline]
    pub(super) fn add(&self, bytes: usize) {
        self.keys.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts the removal of a key with its record.
    pub(super) fn remove(&self, bytes: usize) {
        self.keys.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts the replacement of a record by one of another length.
    #[inline]
    pub(super) fn resize(&self, old: usize, new: usize) {
        // Most records replace one of their length; then the cache line that all workers share stays untouched.
        if new != old {
            // Wrapping: the difference may be negative.
            self.bytes.fetch_add(new.wrapping_sub(old), Ordering::Relaxed);
        }
    }

    /// Returns how often something did not fit.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns the number of keys.
    pub(super) fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// Returns the bytes of keys, ranks and records.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_follows_records_that_come_change_and_go() {
        let usage = Usage::new(RecordLimits { keys_max: 9, mib_max: 1 });
        usage.add(10);
        usage.add(20);
        usage.resize(10, 4);
        usage.resize(20, 20);
        usage.resize(4, 7);
        assert_eq!((usage.keys(), usage.bytes()), (2, 27));
        usage.remove(7);
        assert_eq!((usage.keys(), usage.bytes()), (1, 20));
    }

    #[test]
    fn usage_refuses_growth_while_memory_is_short_and_counts_it() {
        let usage = Usage::new(RecordLimits { keys_max: 9, mib_max: 1 });
        assert!(usage.fits(1, 10) && usage.refused() == 0);
        usage.ask(|| true);
        assert!(usage.fits(0, 0), "an update of the same length");
        assert!(!usage.fits(1, 10) && !usage.fits(0, 1));
        assert_eq!(usage.refused(), 2);
    }
}
