//! Table of the entries of a shard, found by the hash of their key.
//!
//! A hash table whose bucket is one cache line, and whose entries lie in an arena. The hash alone tells the bucket, and the bucket
//! alone tells the entry, so a caller with many keys waits for memory twice and not twice per key: it prefetches the buckets of
//! all keys, then their entries, and then uses them.
//!
//! The highest bits of the hash choose the bucket. When the table doubles, a bucket becomes two neighbours, so a place in the
//! order of hashes remains one: a scan in runs goes on where it stopped, however much the table grew meanwhile.
//!
//! Knows nothing of ranks, and has the hash of an entry computed when it needs it. Bounds: those of the arena.

use std::sync::Arc;

use bytes::BytesMut;

use crate::arena::{Arena, EntryId};
use crate::bucket::{BUCKET_BYTES, Bucket, BucketBytes, BucketMut, Tag, home};
use crate::entry::{Entry, NewEntry};
use crate::memory::Memory;

/// Entries of a shard.
#[derive(Debug)]
pub(super) struct EntryTable {
    /// A power of two, or none before the first entry.
    buckets: BytesMut,
    /// Binary logarithm of their number.
    bits: u32,
    arena: Arena,
    len: usize,
    memory: Arc<Memory>,
}

/// Place of an entry, valid until the table is changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    bucket: usize,
    slot: usize,
    id: EntryId,
}

/// Position of a scan in the order of hashes: the lowest hash that was not visited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position(u64);

impl EntryTable {
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self { buckets: BytesMut::new(), bits: 0, arena: Arena::default(), len: 0, memory }
    }

    /// Returns the buckets.
    #[inline]
    pub(super) fn buckets(&self) -> &[BucketBytes] {
        Bucket::all(&self.buckets)
    }

    /// Prefetches the entries that may have the hash. Waits for their bucket unless that was prefetched.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        let _ = self.probe(hash, |_, bucket| {
            bucket.tagged(tag(hash)).for_each(|slot| self.arena.prefetch(bucket.id(slot), ENTRY_LINES));
            None::<()>
        });
    }

    /// Finds the entry with the hash that `is` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl Fn(Entry<'_>) -> bool) -> Option<Place> {
        self.probe(hash, |at, bucket| {
            let place = |slot| Place { bucket: at, slot, id: bucket.id(slot) };
            bucket.tagged(tag(hash)).map(place).find(|place| is(self.get(*place)))
        })
    }

    #[inline]
    pub(super) fn get(&self, place: Place) -> Entry<'_> {
        Entry::new(self.arena.get(place.id))
    }

    /// Inserts an entry whose key the table does not have.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, new: &NewEntry<'_>, rehash: impl Fn(Entry<'_>) -> u64) {
        if self.len >= self.buckets.len() / BUCKET_BYTES * LOAD_MAX {
            self.grow(&rehash);
        }
        let newest = self.arena.newest();
        let id = self.arena.add(new.length(), &self.memory, |bytes| new.write(bytes));
        self.add(hash, id);
        self.len += 1;
        self.clean(newest, &rehash);
    }

    /// Replaces an entry by one of the same key.
    #[inline]
    pub(super) fn replace(&mut self, place: Place, new: &NewEntry<'_>, rehash: impl Fn(Entry<'_>) -> u64) {
        // Reports of one client mostly have the same length. Overwriting in place is cheap, because the memory is in the cache
        // already: the ranks were just compared.
        if self.arena.replace(place.id, new.length(), |bytes| new.write(bytes)) {
            return;
        }
        let newest = self.arena.newest();
        let id = self.arena.add(new.length(), &self.memory, |bytes| new.write(bytes));
        BucketMut::new(&mut BucketMut::all(&mut self.buckets)[place.bucket]).set_id(place.slot, id);
        self.arena.remove(place.id);
        self.clean(newest, &rehash);
        self.clean(place.id.block(), &rehash);
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, hash: u64, place: Place, rehash: impl Fn(Entry<'_>) -> u64) {
        let buckets = BucketMut::all(&mut self.buckets);
        let mut passed = home(hash, self.bits);
        while passed != place.bucket {
            BucketMut::new(&mut buckets[passed]).remove_overflow();
            passed = (passed + 1) & (buckets.len() - 1);
        }
        BucketMut::new(&mut buckets[place.bucket]).remove(place.slot);
        self.len -= 1;
        self.arena.remove(place.id);
        self.clean(place.id.block(), &rehash);
    }

    /// Calls `each` with the entries from a position on, until those that were visited cost `cost_max` ([`scan_cost`]), and returns the
    /// position that follows, or None at the end.
    ///
    /// The table may change between two runs. A scan visits every entry once whose key was in the table from its first run to its
    /// last, and no key twice.
    pub(super) fn scan<'a>(
        &'a self,
        from: Position,
        cost_max: usize,
        rehash: impl Fn(Entry<'_>) -> u64,
        mut each: impl FnMut(Entry<'a>),
    ) -> Option<Position> {
        let buckets = self.buckets();
        let mut cost = 0;
        for at in home(from.0, self.bits)..buckets.len() {
            if cost >= cost_max {
                return Some(Position((at as u64) << (63 - self.bits) << 1));
            }
            self.prefetch_entries_of(buckets, at + BUCKETS_AHEAD, ENTRY_LINES);
            // An entry counts where its hash places it, not where there was room, or it would be missed or visited twice after
            // the table grew. Most buckets have neither taken entries of others nor passed any on, which spares the hash.
            let mut is_mixed = Bucket::new(&buckets[at.checked_sub(1).unwrap_or(buckets.len() - 1)]).has_overflowed();
            let _ = self.probe((at as u64) << (63 - self.bits) << 1, |_, bucket| {
                for slot in bucket.used() {
                    let entry = Entry::new(self.arena.get(bucket.id(slot)));
                    if !is_mixed || home(rehash(entry), self.bits) == at {
                        each(entry);
                        cost += scan_cost(entry.len());
                    }
                }
                is_mixed = true;
                None::<()>
            });
        }
        None
    }

    /// Returns the entries, in the order of their buckets.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let buckets = self.buckets();
        buckets.iter().enumerate().flat_map(move |(at, bytes)| {
            self.prefetch_entries_of(buckets, at + BUCKETS_AHEAD, ENTRY_LINES);
            let bucket = Bucket::new(bytes);
            bucket.used().map(move |slot| Entry::new(self.arena.get(bucket.id(slot))))
        })
    }

    /// Calls `each` with the home bucket of a hash and those to which entries passed from there, until it returns a value.
    #[inline]
    fn probe<T>(&self, hash: u64, mut each: impl FnMut(usize, Bucket<'_>) -> Option<T>) -> Option<T> {
        let buckets = self.buckets();
        let mut at = home(hash, self.bits);
        for _ in 0..buckets.len() {
            let bucket = Bucket::new(&buckets[at]);
            let value = each(at, bucket);
            if value.is_some() || !bucket.has_overflowed() {
                return value;
            }
            at = (at + 1) & (buckets.len() - 1);
        }
        None
    }

    /// Adds an entry to its home bucket, or to the next one with room.
    fn add(&mut self, hash: u64, id: EntryId) {
        let buckets = BucketMut::all(&mut self.buckets);
        let mut at = home(hash, self.bits);
        // The load is limited, so some bucket has room.
        loop {
            let mut bucket = BucketMut::new(&mut buckets[at]);
            if bucket.add(tag(hash), id) {
                return;
            }
            bucket.add_overflow();
            at = (at + 1) & (buckets.len() - 1);
        }
    }

    /// Doubles the number of buckets.
    #[cold]
    fn grow(&mut self, rehash: &impl Fn(Entry<'_>) -> u64) {
        let bytes = (2 * self.buckets.len()).max(BUCKET_BYTES);
        let mut larger = self.memory.take(bytes);
        larger.fill(0);
        let old = std::mem::replace(&mut self.buckets, larger);
        self.bits = (bytes / BUCKET_BYTES).ilog2();
        let old_buckets = Bucket::all(&old);
        for (at, bytes) in old_buckets.iter().enumerate() {
            // Hashing waits for the memory of each key.
            self.prefetch_entries_of(old_buckets, at + BUCKETS_AHEAD, KEY_LINES);
            let bucket = Bucket::new(bytes);
            for slot in bucket.used() {
                let id = bucket.id(slot);
                self.add(rehash(Entry::new(self.arena.get(id))), id);
            }
        }
        self.memory.give(old);
    }

    /// Prefetches the entries of a bucket, if there is such a bucket.
    #[inline]
    fn prefetch_entries_of(&self, buckets: &[BucketBytes], at: usize, lines: usize) {
        if let Some(bytes) = buckets.get(at) {
            let bucket = Bucket::new(bytes);
            bucket.used().for_each(|slot| self.arena.prefetch(bucket.id(slot), lines));
        }
    }

    /// Cleans a block that has many gaps.
    #[inline]
    fn clean(&mut self, mut block: usize, rehash: &impl Fn(Entry<'_>) -> u64) {
        while self.arena.has_gaps(block) {
            let newest = self.arena.newest();
            let Self { buckets, bits, arena, memory, .. } = self;
            arena.clean(block, memory, |bytes, from, to| {
                redirect(BucketMut::all(buckets), *bits, rehash(Entry::new(bytes)), from, to);
            });
            // Cleaning may have filled the newest block, which then is a candidate too.
            block = newest;
        }
    }
}

/// Replaces the id of an entry that moved.
fn redirect(buckets: &mut [BucketBytes], bits: u32, hash: u64, from: EntryId, to: EntryId) {
    let mut at = home(hash, bits);
    for _ in 0..buckets.len() {
        let bucket = Bucket::new(&buckets[at]);
        if let Some(slot) = bucket.tagged(tag(hash)).find(|slot| bucket.id(*slot) == from) {
            return BucketMut::new(&mut buckets[at]).set_id(slot, to);
        }
        at = (at + 1) & (buckets.len() - 1);
    }
}

/// Returns the cost of a visit to an entry of this length: one, and one for each KiB, so that long entries make a run no longer.
#[inline]
pub(super) fn scan_cost(bytes: usize) -> usize {
    1 + (bytes >> 10)
}

#[inline]
fn tag(hash: u64) -> Tag {
    Tag::of((hash >> 8) as u8)
}

/// Entries per bucket at which the table grows. At 9 of 12 one entry in nine is not in its home bucket.
const LOAD_MAX: usize = 9;
/// A usual record with its key and rank.
const ENTRY_LINES: usize = 4;
const KEY_LINES: usize = 1;
/// Buckets between the one that is visited and the one whose entries are prefetched: some 16 entries.
const BUCKETS_AHEAD: usize = 2;

#[cfg(test)]
mod tests;
