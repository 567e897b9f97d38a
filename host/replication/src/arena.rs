//! Arena: the bytes of the entries of a shard, one after the other in blocks.
//!
//! An entry is written behind the newest one. One that is replaced by a longer one, or removed, leaves a gap. A block with more
//! gaps than entries is *cleaned*: its entries move to the newest block, and the block is used again. So gaps never take more
//! than half of the memory, and a clean moves at most half a block.
//!
//! Owns blocks and gaps. Knows nothing of hashes, and has the table find the bucket of an entry that moves. Bounds: bytes of a
//! shard (64 GiB).

use bytes::BytesMut;

use crate::memory::{BLOCK_BYTES, Memory};
use crate::prefetch::prefetch;

/// Entries of a shard.
#[derive(Debug)]
pub(super) struct Arena {
    blocks: Vec<BytesMut>,
    /// Use of each block. Beside the blocks, because lookups do not need it.
    usage: Vec<BlockUsage>,
    /// Numbers of blocks without memory.
    vacant: Vec<usize>,
    /// Block that takes the next entry.
    newest: usize,
}

/// Place of an entry: the number of its block, and its start within in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(pub(super) u32);

/// Units of a block.
#[derive(Clone, Copy, Debug, Default)]
struct BlockUsage {
    /// Units that were written, from the start.
    filled: usize,
    /// Units of entries.
    live: usize,
}

impl EntryId {
    fn new(block: usize, unit: usize) -> Self {
        let block = u32::try_from(block).ok().filter(|block| *block < 1 << (32 - UNIT_BITS));
        let unit = u32::try_from(unit).expect("a block has 2,048 units");
        Self(block.expect("a shard holds less than 64 GiB") << UNIT_BITS | unit)
    }

    #[inline]
    pub(super) fn block(self) -> usize {
        (self.0 >> UNIT_BITS) as usize
    }

    #[inline]
    fn start(self) -> usize {
        (self.0 as usize & ((1 << UNIT_BITS) - 1)) * UNIT_BYTES
    }
}

impl Arena {
    #[inline]
    pub(super) fn get(&self, id: EntryId) -> &[u8] {
        let bytes = &self.blocks[id.block()][id.start()..];
        &bytes[LENGTH_BYTES..][..length(bytes)]
    }

    /// Prefetches the first cache lines of an entry, whose length is not known before they are read.
    #[inline]
    pub(super) fn prefetch(&self, id: EntryId, lines: usize) {
        let bytes = &self.blocks[id.block()][id.start()..];
        prefetch(&bytes[..bytes.len().min(64 * lines)]);
    }

    /// Adds an entry of `bytes` bytes, which `write` fills in.
    #[inline]
    pub(super) fn add(&mut self, bytes: usize, memory: &Memory, write: impl FnOnce(&mut [u8])) -> EntryId {
        let units = units(bytes);
        let id = self.reserve(units, memory);
        let usage = &mut self.usage[id.block()];
        usage.filled += units;
        usage.live += units;
        self.fill(id, bytes, write);
        id
    }

    /// Replaces an entry in place, and returns false if the new one takes more or less room.
    #[inline]
    pub(super) fn replace(&mut self, id: EntryId, bytes: usize, write: impl FnOnce(&mut [u8])) -> bool {
        let fits = units(self.get(id).len()) == units(bytes);
        if fits {
            self.fill(id, bytes, write);
        }
        fits
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, id: EntryId) {
        let bytes = self.get(id).len();
        self.usage[id.block()].live -= units(bytes);
        put_length(&mut self.blocks[id.block()][id.start()..], bytes | GAP);
    }

    /// Returns the block that takes the next entry.
    #[inline]
    pub(super) fn newest(&self) -> usize {
        self.newest
    }

    /// Returns whether a block should be cleaned.
    #[inline]
    pub(super) fn has_gaps(&self, block: usize) -> bool {
        let BlockUsage { filled, live } = self.usage[block];
        block != self.newest && 2 * live < filled
    }

    /// Moves the entries of a block to the newest one and gives its memory back. Calls `moved` with the bytes of each entry, and
    /// with its place before and now.
    pub(super) fn clean(&mut self, block: usize, memory: &Memory, mut moved: impl FnMut(&[u8], EntryId, EntryId)) {
        let bytes = std::mem::take(&mut self.blocks[block]);
        let BlockUsage { filled, .. } = std::mem::take(&mut self.usage[block]);
        let mut unit = 0;
        while unit < filled {
            let entry = &bytes[unit * UNIT_BYTES..];
            let (length, is_gap) = (length(entry) & !GAP, length(entry) & GAP != 0);
            if !is_gap {
                let entry = &entry[LENGTH_BYTES..][..length];
                let id = self.add(length, memory, |to| to.copy_from_slice(entry));
                moved(entry, EntryId::new(block, unit), id);
            }
            unit += units(length);
        }
        self.vacant.push(block);
        memory.give(bytes);
    }

    /// Returns the bytes of all blocks.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.len()).sum()
    }

    /// Finds room for so many units behind the newest entry, or in a new block.
    #[inline]
    fn reserve(&mut self, units: usize, memory: &Memory) -> EntryId {
        let (filled, room) = (self.usage[self.newest].filled, self.blocks[self.newest].len() / UNIT_BYTES);
        if filled + units <= room {
            return EntryId::new(self.newest, filled);
        }
        self.reserve_block(units, memory)
    }

    #[cold]
    fn reserve_block(&mut self, units: usize, memory: &Memory) -> EntryId {
        let bytes = units * UNIT_BYTES;
        // Room that is left at the end of a block is lost, so what could lose much has a block of its own.
        if bytes > BLOCK_BYTES / 4 {
            return EntryId::new(self.add_block(memory.take(bytes)), 0);
        }
        let filled = self.usage[self.newest].filled;
        let newest = &mut self.blocks[self.newest];
        if newest.len() < BLOCK_BYTES {
            // The first block doubles until it is a whole one, so that a small shard takes little. Entries keep their places.
            let old = filled * UNIT_BYTES;
            let mut larger = memory.take((old + bytes).next_power_of_two().max(FIRST_BLOCK_BYTES));
            larger[..old].copy_from_slice(&newest[..old]);
            *newest = larger;
            return EntryId::new(self.newest, filled);
        }
        self.newest = self.add_block(memory.take(BLOCK_BYTES));
        EntryId::new(self.newest, 0)
    }

    fn add_block(&mut self, memory: BytesMut) -> usize {
        if let Some(block) = self.vacant.pop() {
            self.blocks[block] = memory;
            return block;
        }
        self.blocks.push(memory);
        self.usage.push(BlockUsage::default());
        self.blocks.len() - 1
    }

    #[inline]
    fn fill(&mut self, id: EntryId, bytes: usize, write: impl FnOnce(&mut [u8])) {
        let entry = &mut self.blocks[id.block()][id.start()..];
        put_length(entry, bytes);
        write(&mut entry[LENGTH_BYTES..][..bytes]);
    }
}

impl Default for Arena {
    fn default() -> Self {
        // The first block, which has no memory yet.
        Self { blocks: vec![BytesMut::new()], usage: vec![BlockUsage::default()], vacant: Vec::new(), newest: 0 }
    }
}

/// Returns the units of an entry of so many bytes, with its length in front.
#[inline]
fn units(bytes: usize) -> usize {
    (LENGTH_BYTES + bytes).div_ceil(UNIT_BYTES)
}

/// Returns the length in front of an entry.
#[inline]
fn length(entry: &[u8]) -> usize {
    entry.first_chunk().map_or(0, |length| u32::from_ne_bytes(*length)) as usize
}

#[inline]
fn put_length(entry: &mut [u8], length: usize) {
    let length = u32::try_from(length).expect("an entry has a key, a rank and a record within their limits");
    entry[..LENGTH_BYTES].copy_from_slice(&length.to_ne_bytes());
}

/// Entries of slightly different lengths replace each other in place, and ids of 4 bytes suffice.
const UNIT_BYTES: usize = 16;
/// Bits of an id for the start within a block.
const UNIT_BITS: u32 = (BLOCK_BYTES / UNIT_BYTES).ilog2();
const LENGTH_BYTES: usize = 4;
/// Marks the length of a gap.
const GAP: usize = 1 << 31;
const FIRST_BLOCK_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of 126 units, of which a block holds 16.
    const ENTRY_BYTES: usize = 2000;

    #[test]
    fn arena_cleans_a_block_of_which_more_than_half_are_gaps() {
        let (mut arena, memory) = (Arena::default(), Memory::default());
        let mut entries: Vec<_> = (0..17_u8).map(|byte| arena.add(ENTRY_BYTES, &memory, |to| to.fill(byte))).collect();
        assert_eq!((entries[15].block(), entries[16].block(), arena.newest()), (0, 1, 1));
        for _ in 0..8 {
            assert!(!arena.has_gaps(0));
            arena.remove(entries.remove(0));
        }
        assert!(!arena.has_gaps(0), "half of it is used");
        arena.remove(entries.remove(0));
        assert!(arena.has_gaps(0) && !arena.has_gaps(1));
        let mut moved = Vec::new();
        arena.clean(0, &memory, |bytes, before, now| moved.push((bytes[0], before, now)));
        let befores: Vec<_> = (9..16).zip(&entries).map(|(byte, before)| (byte, *before)).collect();
        assert_eq!(moved.iter().map(|(byte, before, _)| (*byte, *before)).collect::<Vec<_>>(), befores);
        assert!(moved.iter().all(|(byte, _, now)| now.block() == 1 && arena.get(*now) == vec![*byte; ENTRY_BYTES]));
    }

    #[test]
    fn arena_replaces_an_entry_in_place_by_one_of_as_many_units() {
        let (mut arena, memory) = (Arena::default(), Memory::default());
        let id = arena.add(20, &memory, |to| to.fill(1));
        assert!(arena.replace(id, 28, |to| to.fill(2)));
        assert_eq!(arena.get(id), [2; 28]);
        assert!(!arena.replace(id, 29, |_| panic!("it does not fit")));
    }

    #[test]
    fn arena_gives_a_block_of_its_own_to_a_large_entry_alone() {
        let (mut arena, memory) = (Arena::default(), Memory::default());
        let quarter = BLOCK_BYTES / 4 - LENGTH_BYTES;
        assert_eq!(arena.add(quarter, &memory, |_| ()).block(), 0);
        let large = arena.add(quarter + 1, &memory, |_| ()).block();
        assert_eq!((large, arena.newest()), (1, 0));
        assert_eq!(arena.add(1, &memory, |_| ()).block(), 0, "the first block goes on");
    }
}
