//! Bucket of an entry table: tags and entry ids of up to twelve entries in one cache line.
//!
//! Twelve tags of a byte, a counter of overflows, and twelve ids of four bytes. A tag of 0 marks a free slot. An entry that
//! finds its bucket full goes to a later one, and each bucket that it passed counts it, so that a lookup knows where to stop.
//!
//! Owns this layout. Knows nothing of entries. Bounds: entries per bucket.

use crate::arena::EntryId;

/// Bucket, to read.
#[derive(Clone, Copy)]
pub(super) struct Bucket<'a>(&'a BucketBytes);

/// Bucket, to change.
pub(super) struct BucketMut<'a>(&'a mut BucketBytes);

/// Slots of a bucket, in ascending order.
#[derive(Clone, Copy)]
pub(super) struct Slots(u128);

/// Tag of an entry: bits of its hash that the choice of the bucket does not use. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u8);

impl Tag {
    #[inline]
    pub(super) fn of(bits: u8) -> Self {
        Self(bits.max(1))
    }
}

impl<'a> Bucket<'a> {
    /// Returns the buckets in `memory`.
    #[inline]
    pub(super) fn all(memory: &'a [u8]) -> &'a [BucketBytes] {
        memory.as_chunks().0
    }

    #[inline]
    pub(super) fn new(bytes: &'a BucketBytes) -> Self {
        Self(bytes)
    }

    /// Returns the slots whose entries have the tag.
    #[inline]
    pub(super) fn tagged(self, tag: Tag) -> Slots {
        Slots::equal(self.0, tag.0)
    }

    /// Returns the slots that hold entries.
    #[inline]
    pub(super) fn used(self) -> Slots {
        let Slots(free) = Slots::equal(self.0, FREE);
        Slots(!free & Slots::ALL)
    }

    #[inline]
    pub(super) fn id(self, slot: usize) -> EntryId {
        let at = ids_at(slot);
        EntryId(u32::from_ne_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]]))
    }

    /// Returns whether an entry of this bucket, or of an earlier one, may be in a later one.
    #[inline]
    pub(super) fn has_overflowed(self) -> bool {
        self.0[OVERFLOW_AT] != 0
    }
}

impl<'a> BucketMut<'a> {
    /// Returns the buckets in `memory`.
    #[inline]
    pub(super) fn all(memory: &'a mut [u8]) -> &'a mut [BucketBytes] {
        memory.as_chunks_mut().0
    }

    #[inline]
    pub(super) fn new(bytes: &'a mut BucketBytes) -> Self {
        Self(bytes)
    }

    /// Adds an entry and returns whether there was room.
    #[inline]
    pub(super) fn add(&mut self, tag: Tag, id: EntryId) -> bool {
        let Some(slot) = Slots::equal(self.0, FREE).next() else { return false };
        self.0[slot] = tag.0;
        self.set_id(slot, id);
        true
    }

    #[inline]
    pub(super) fn set_id(&mut self, slot: usize, id: EntryId) {
        self.0[ids_at(slot)..][..4].copy_from_slice(&id.0.to_ne_bytes());
    }

    pub(super) fn remove(&mut self, slot: usize) {
        self.0[slot] = FREE;
    }

    /// Counts an entry that passes this bucket. The counter sticks at its highest value, after which lookups go on to the next
    /// bucket for nothing until the table grows.
    pub(super) fn add_overflow(&mut self) {
        self.0[OVERFLOW_AT] = self.0[OVERFLOW_AT].saturating_add(1);
    }

    /// Uncounts an entry that passed this bucket and was removed.
    pub(super) fn remove_overflow(&mut self) {
        if self.0[OVERFLOW_AT] != u8::MAX {
            self.0[OVERFLOW_AT] -= 1;
        }
    }
}

impl Slots {
    const ALL: u128 = 0x8080_8080_8080_8080_8080_8080;

    /// Returns the slots whose tag byte is `byte`. Compares all of them at once: the highest bit of each byte says whether it is
    /// equal.
    #[inline]
    fn equal(bucket: &BucketBytes, byte: u8) -> Self {
        const LOW: u128 = u128::from_ne_bytes([0x7f; 16]);
        let tags: &[u8; 16] = bucket.first_chunk().expect("a bucket has 64 bytes");
        let differing = u128::from_le_bytes(*tags) ^ u128::from_ne_bytes([byte; 16]);
        // No byte carries into the next: 0x7f + 0x7f fits.
        Self(!(((differing & LOW) + LOW) | differing) & Self::ALL)
    }
}

impl Iterator for Slots {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}

/// Returns the bucket in which a hash belongs, among 2^`bits`.
#[inline]
pub(super) fn home(hash: u64, bits: u32) -> usize {
    // Two shifts, because one by 64 would be too many when there is one bucket.
    (hash >> 1 >> (63 - bits)) as usize
}

#[inline]
fn ids_at(slot: usize) -> usize {
    16 + 4 * slot
}

/// A cache line.
pub(super) const BUCKET_BYTES: usize = 64;
pub(super) const SLOTS: usize = 12;
pub(super) type BucketBytes = [u8; BUCKET_BYTES];
const OVERFLOW_AT: usize = SLOTS;
const FREE: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_has_overflowed_until_as_many_entries_are_removed_as_passed_it() {
        let mut bytes = [0; BUCKET_BYTES];
        let mut overflow = |adds: usize, removes: usize| {
            let mut bucket = BucketMut::new(&mut bytes);
            (0..adds).for_each(|_| bucket.add_overflow());
            (0..removes).for_each(|_| bucket.remove_overflow());
            Bucket::new(&bytes).has_overflowed()
        };
        assert!(!overflow(0, 0));
        assert!(overflow(3, 2));
        assert!(!overflow(0, 1));
        assert!(overflow(300, 300), "a counter at its end says nothing any more");
    }

    #[test]
    fn bucket_takes_entries_into_free_slots() {
        let mut bytes = [0; BUCKET_BYTES];
        let mut bucket = BucketMut::new(&mut bytes);
        let added = (0..=SLOTS).map(|number| bucket.add(Tag(0x80 | number as u8), EntryId(number as u32)));
        assert_eq!(added.filter(|added| *added).count(), SLOTS);
        bucket.remove(5);
        let bucket = Bucket::new(&bytes);
        assert_eq!(bucket.used().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
        assert_eq!(bucket.tagged(Tag(0x87)).map(|slot| bucket.id(slot)).collect::<Vec<_>>(), [EntryId(7)]);
        assert_eq!(bucket.tagged(Tag(0x85)).next(), None);
    }
}
