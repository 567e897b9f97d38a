//! Number and bytes of the records of a table, against its limits.
//!
//! Knows nothing of shards. Bounds: those of [`RecordLimits`], as closely as counters without a lock keep them.

use std::sync::atomic::{AtomicUsize, Ordering};

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
}

impl Usage {
    /// Creates the counters of an empty table.
    pub(super) fn new(limits: RecordLimits) -> Self {
        Self { limits, keys: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Returns whether so many more keys and bytes fit. What does not grow always fits, or a full table could not even
    /// be updated.
    #[inline]
    pub(super) fn fits(&self, keys: usize, bytes: usize) -> bool {
        let more_keys = self.keys().saturating_add(keys);
        let more_bytes = self.bytes().saturating_add(bytes);
        (keys == 0 || more_keys <= self.limits.keys_max)
            && (bytes == 0 || more_bytes <= self.limits.mib_max.saturating_mul(1 << 20))
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
}
