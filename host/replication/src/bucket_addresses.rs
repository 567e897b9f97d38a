//! Addresses of the buckets of every shard, for prefetches without the lock of the shard.
//!
//! Nothing is read at an address; it only tells the processor what to load. An address that is out of date costs a load and does
//! no harm.
//!
//! Bounds: one address per shard.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bucket::{BUCKET_BYTES, BucketBytes, home};
use crate::prefetch::prefetch_line;

/// Addresses by shard. They change only when a shard grows, so every processor has them in its cache.
pub(super) struct BucketAddresses(Box<[AtomicUsize]>);

impl BucketAddresses {
    pub(super) fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| AtomicUsize::new(0)).collect())
    }

    /// Notes the buckets of a shard: a power of two of them, or none.
    #[inline]
    pub(super) fn set(&self, shard: usize, buckets: &[BucketBytes]) {
        // Buckets begin at a multiple of their size, which leaves the lowest bits for the logarithm of their number.
        let noted = if buckets.is_empty() { 0 } else { buckets.as_ptr().addr() + buckets.len().ilog2() as usize };
        // Stored only when it changed, so that the line stays in the caches of the others.
        if self.0[shard].load(Ordering::Relaxed) != noted {
            self.0[shard].store(noted, Ordering::Relaxed);
        }
    }

    /// Prefetches the bucket in which a hash belongs.
    #[inline]
    pub(super) fn prefetch(&self, shard: usize, hash: u64) {
        prefetch_line(self.address(shard, hash) as *const u8);
    }

    #[inline]
    fn address(&self, shard: usize, hash: u64) -> usize {
        let noted = self.0[shard].load(Ordering::Relaxed);
        let bits = noted % BUCKET_BYTES;
        (noted - bits).wrapping_add(home(hash, bits as u32) * BUCKET_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn address_is_that_of_the_bucket_of_a_hash() {
        let addresses = BucketAddresses::new(2);
        let memory = Memory::default();
        for bits in [0, 1, 9, 10, 13] {
            let buckets = memory.take(BUCKET_BYTES << bits);
            let buckets = crate::bucket::Bucket::all(&buckets);
            addresses.set(1, buckets);
            for hash in [0, u64::MAX, 0x1234_5678_9abc_def0] {
                assert_eq!(addresses.address(1, hash), buckets[home(hash, bits)].as_ptr().addr());
            }
        }
    }
}
