//! Digest tree: the records of a node added up by buckets, so that two nodes find where they differ in a few steps.
//!
//! A key's place among 2^16 comes from a hash that all nodes of the herd share. A bucket of depth `d` holds the places that share their
//! first `d` bits: depth 0 is the root, and a parent is the sum of its children. A node keeps sums by leaf, about [`LEAF_RECORDS`]
//! records each; nodes of different size have leaves of different depth and agree at every depth above.
//!
//! [`refresh`](DigestTree::refresh) reads the shards that changed since, one at a time under their read lock, and then publishes the
//! sums; readers never wait for it. It takes a fraction of a second for a million changed records, so it is not for a worker thread.
//!
//! Digests name a *cut-off*, and leave out the records that had reached their [boundary](crate::expiry::boundary) by then. Two nodes whose
//! clocks differ agree by using the same one.
//!
//! Bounds: 22 bytes per record at most, and 32 per leaf twice, of which there are at most 2^16. An empty table takes none.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::digest::{Bucket, PLACE_BITS, RecordHasher};
use crate::expiry::boundary;
use crate::sync::{ArcSwap, AtomicU64, Mutex};
use crate::wire_report::WireReport;

/// Sums of the records of a table.
pub(crate) struct DigestTree {
    hasher: RecordHasher,
    working: Mutex<Working>,
    published: ArcSwap<Buckets>,
    /// Number of refreshes that were asked for.
    requested: AtomicU64,
}

/// Table whose records are added up.
pub(crate) trait DigestedTable {
    /// Number of shards.
    fn shards(&self) -> usize;

    /// Clears the mark that a record of the shard changed, and returns whether it was set.
    fn take_dirty(&self, shard: usize) -> bool;

    /// Calls `each` with what the node has kept under each key of a shard, and the readable record below if that is quarantined. `each`
    /// must not call the table.
    fn visit_winners(&self, shard: usize, each: impl FnMut(WireReport<'_>, Option<WireReport<'_>>));
}

/// Sums by leaf as of one refresh.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// Depth of the leaves.
    pub(crate) bits: u32,
    leaves: Vec<Bucket>,
    /// Cut-offs for which the sums hold.
    cutoffs: Range<u64>,
    /// Requests that were made before the refresh began.
    serves: u64,
}

/// State of refreshes, of which there is one at a time.
#[derive(Default)]
struct Working {
    shards: Vec<Contribution>,
    bits: u32,
    leaves: Vec<Bucket>,
    records: u64,
}

/// Contribution of a shard, by place, in three arrays because a record of its own would be padded to 32 bytes.
#[derive(Default)]
struct Contribution {
    places: Vec<u16>,
    counts: Vec<u32>,
    sums: Vec<u128>,
    cutoffs: Range<u64>,
}

impl DigestTree {
    /// Creates the tree of an empty table.
    pub(crate) fn new(herd_key: u128) -> Self {
        let empty = Buckets { bits: 0, leaves: vec![Bucket::default()], cutoffs: 0..u64::MAX, serves: 0 };
        Self {
            hasher: RecordHasher::new(herd_key),
            working: Mutex::default(),
            published: ArcSwap::from_pointee(empty),
            requested: AtomicU64::new(0),
        }
    }

    /// Asks for a refresh, and returns the number of the request.
    pub(crate) fn request(&self) -> u64 {
        self.requested.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Returns the sums for a cut-off, of a refresh that began after a request. `None` if there was none yet.
    pub(crate) fn since(&self, request: u64, cutoff_s: u64) -> Option<Arc<Buckets>> {
        Some(self.published.load_full()).filter(|sums| sums.serves >= request && sums.cutoffs.contains(&cutoff_s))
    }

    /// Returns the sums of the last refresh for a cut-off.
    pub(crate) fn last(&self, cutoff_s: u64) -> Option<Arc<Buckets>> {
        self.since(0, cutoff_s)
    }

    /// Reads the shards that changed, or whose sums do not hold for the cut-off, and publishes the sums.
    pub(crate) fn refresh(&self, table: &impl DigestedTable, cutoff_s: u64) -> Arc<Buckets> {
        let mut working = self.working.lock();
        // Before the first shard is read: a request that comes later may be about a change that this refresh misses.
        let serves = self.requested.load(Ordering::SeqCst);
        working.shards.resize_with(table.shards(), Contribution::default);
        let mut changed = false;
        for shard in 0..table.shards() {
            let is_dirty = table.take_dirty(shard);
            if !is_dirty && working.shards[shard].holds(cutoff_s) {
                continue;
            }
            changed = true;
            let fresh = Contribution::read(table, shard, &self.hasher, cutoff_s);
            working.replace(shard, fresh);
        }
        let published = self.published.load_full();
        if !changed && published.serves == serves && published.cutoffs.contains(&cutoff_s) {
            return published;
        }
        working.adjust_depth();
        let start = working.shards.iter().map(|shard| shard.cutoffs.start).max().unwrap_or(0);
        let end = working.shards.iter().map(|shard| shard.cutoffs.end).min().unwrap_or(u64::MAX);
        let sums =
            Arc::new(Buckets { bits: working.bits, leaves: working.leaves.clone(), cutoffs: start..end, serves });
        self.published.store(Arc::clone(&sums));
        sums
    }

    /// Returns the hasher of the herd.
    pub(crate) fn hasher(&self) -> &RecordHasher {
        &self.hasher
    }
}

impl Buckets {
    /// Returns the sum of all records.
    pub(crate) fn root(&self) -> Bucket {
        self.get(0, 0).unwrap_or_default()
    }

    /// Returns the sum of a bucket, or `None` below the leaves.
    pub(crate) fn get(&self, depth: u32, prefix: u32) -> Option<Bucket> {
        let below = self.bits.checked_sub(depth)?;
        let first = usize::try_from(prefix).ok()? << below;
        let leaves = self.leaves.get(first..first + (1 << below))?;
        let mut sum = Bucket::default();
        leaves.iter().for_each(|&leaf| sum.add(leaf));
        Some(sum)
    }
}

impl Working {
    fn replace(&mut self, shard: usize, fresh: Contribution) {
        if self.leaves.is_empty() {
            self.leaves = vec![Bucket::default(); 1 << self.bits];
        }
        let unused = PLACE_BITS - self.bits;
        for (place, bucket) in self.shards[shard].iter() {
            self.leaves[usize::from(place) >> unused].subtract(bucket);
            self.records -= bucket.count;
        }
        for (place, bucket) in fresh.iter() {
            self.leaves[usize::from(place) >> unused].add(bucket);
            self.records += bucket.count;
        }
        self.shards[shard] = fresh;
    }

    /// Makes leaves of about [`LEAF_RECORDS`] records. Within a factor of two they stay, or a table around a power of two would be added
    /// up again at each refresh.
    fn adjust_depth(&mut self) {
        let wanted = (self.records / LEAF_RECORDS).checked_ilog2().unwrap_or(0).min(PLACE_BITS);
        if wanted <= self.bits && wanted + 1 >= self.bits && !self.leaves.is_empty() {
            return;
        }
        self.bits = wanted;
        self.leaves = vec![Bucket::default(); 1 << wanted];
        for (place, bucket) in self.shards.iter().flat_map(Contribution::iter) {
            self.leaves[usize::from(place) >> (PLACE_BITS - wanted)].add(bucket);
        }
    }
}

impl Contribution {
    fn read(table: &impl DigestedTable, shard: usize, hasher: &RecordHasher, cutoff_s: u64) -> Self {
        let mut hashes: Vec<(u16, u128)> = Vec::new();
        let mut cutoffs = 0..u64::MAX;
        table.visit_winners(shard, |report, _| {
            let boundary = boundary(report.head.expires_at);
            if boundary <= cutoff_s {
                cutoffs.start = cutoffs.start.max(boundary);
            } else {
                cutoffs.end = cutoffs.end.min(boundary);
                hashes.push((hasher.place(report.key), hasher.hash(&report)));
            }
        });
        // Behind the lock of the shard.
        hashes.sort_unstable_by_key(|&(place, _)| place);
        let mut contribution = Self { cutoffs, ..Self::default() };
        for same in hashes.chunk_by(|left, right| left.0 == right.0) {
            contribution.places.push(same[0].0);
            contribution.counts.push(u32::try_from(same.len()).unwrap_or(u32::MAX));
            contribution.sums.push(same.iter().fold(0, |sum, (_, hash)| sum.wrapping_add(*hash)));
        }
        // Kept until the shard changes.
        contribution.places.shrink_to_fit();
        contribution.counts.shrink_to_fit();
        contribution.sums.shrink_to_fit();
        contribution
    }

    fn holds(&self, cutoff_s: u64) -> bool {
        self.cutoffs.contains(&cutoff_s)
    }

    fn iter(&self) -> impl Iterator<Item = (u16, Bucket)> + '_ {
        let buckets = self.sums.iter().zip(&self.counts).map(|(&sum, &count)| Bucket { sum, count: count.into() });
        self.places.iter().copied().zip(buckets)
    }
}

/// Buckets of one depth, by their prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Bits of a prefix.
    pub(crate) depth: u32,
    /// Cut-off of the digests by which they were found unequal.
    pub(crate) cutoff_s: u64,
    /// Prefixes, in order.
    pub(crate) prefixes: Vec<u32>,
}

impl Selection {
    /// Returns whether a record is in one of the buckets.
    pub(crate) fn holds(&self, hasher: &RecordHasher, report: &WireReport<'_>) -> bool {
        let prefix = u32::from(hasher.place(report.key)) >> (PLACE_BITS - self.depth);
        self.prefixes.binary_search(&prefix).is_ok() && boundary(report.head.expires_at) > self.cutoff_s
    }
}

/// Records per leaf: what is exchanged to repair one.
const LEAF_RECORDS: u64 = 64;
