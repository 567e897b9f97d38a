//! Memory of a record table: blocks that all shards share, cut from large regions in huge pages where the kernel gives them.
//!
//! A table of a million clients spans some 200 MiB. In pages of 4 KiB, nearly every access misses the TLB and pays for a walk of
//! page tables beside the miss of the record itself; in pages of 2 MiB it does not. No shard is large enough for huge pages of
//! its own, so shards take blocks from regions in common.
//!
//! Memory is first provided in small pages, and the kernel is asked for huge ones where all of it is in use. Asked beforehand, it
//! would clear 2 MiB, and move other memory out of the way, while a worker waits: up to 17 ms were measured. This way a thread of
//! the kernel does it, within minutes.
//!
//! Knows nothing of records. Bounds: none of its own; the record limits bound what the shards take.

use bytes::{Buf, BytesMut};

use crate::sync::Mutex;

/// Source of blocks. Blocks that were given back are used again.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Unused>);

#[derive(Debug, Default)]
struct Unused {
    /// Rest of the newest region.
    region: BytesMut,
    /// Address in that region up to which huge pages were asked for.
    advised: usize,
    blocks: Vec<BytesMut>,
}

impl Memory {
    /// Returns `bytes` bytes that begin at a cache line. Their values are unspecified.
    ///
    /// Less than a block is allocated by itself, so that a small table stays small.
    pub(super) fn take(&self, bytes: usize) -> BytesMut {
        if !bytes.is_multiple_of(BLOCK_BYTES) {
            return aligned(bytes, LINE_BYTES);
        }
        let mut unused = self.0.lock();
        if bytes == BLOCK_BYTES
            && let Some(block) = unused.blocks.pop()
        {
            return block;
        }
        if unused.region.len() < bytes {
            let rest = std::mem::replace(&mut unused.region, aligned(bytes.max(REGION_BYTES), HUGE_PAGE_BYTES));
            unused.add_blocks(rest);
            unused.advised = unused.region.as_ptr().addr();
        }
        let taken = unused.region.split_to(bytes);
        let end = unused.region.as_ptr().addr() / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        if end > unused.advised {
            advise_huge_pages(unused.advised, end - unused.advised);
            unused.advised = end;
        }
        taken
    }

    /// Takes memory back that [`take`](Self::take) returned.
    pub(super) fn give(&self, memory: BytesMut) {
        if memory.len().is_multiple_of(BLOCK_BYTES) {
            self.0.lock().add_blocks(memory);
        }
    }
}

impl Unused {
    fn add_blocks(&mut self, mut memory: BytesMut) {
        while !memory.is_empty() {
            self.blocks.push(memory.split_to(BLOCK_BYTES));
        }
    }
}

/// Allocates zeroes at a multiple of `alignment`. The kernel provides their pages when they are first touched.
fn aligned(bytes: usize, alignment: usize) -> BytesMut {
    let mut memory = BytesMut::zeroed(bytes + alignment - 1);
    let offset = memory.as_ptr().align_offset(alignment);
    memory.advance(offset);
    memory.truncate(bytes);
    memory
}

/// Asks the kernel for huge pages in a range of addresses. Without them everything works, only slower, so failures need no handling.
#[cfg(target_os = "linux")]
fn advise_huge_pages(start: usize, bytes: usize) {
    use rustix::mm::{Advice, madvise};
    // SAFETY: this advice lets the kernel change the size of pages and leaves their contents alone, so it is sound for any range,
    // also for one that is in use.
    #[allow(unsafe_code, reason = "rustix has one function for all kinds of advice, some of which discard contents")]
    let _ = unsafe { madvise(start as *mut _, bytes, Advice::LinuxHugepage) };
}

/// Does nothing: other systems choose the size of pages by themselves.
#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_: usize, _: usize) {}

/// Small enough that the last block of a shard, half used, costs a client 4 bytes in a table of a million.
pub(super) const BLOCK_BYTES: usize = 32 << 10;
const LINE_BYTES: usize = 64;
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Address space, not memory: pages are provided when they are touched.
const REGION_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_at_cache_lines_and_blocks_are_used_again() {
        let memory = Memory::default();
        for bytes in [1, 100, BLOCK_BYTES, 3 * BLOCK_BYTES] {
            let taken = memory.take(bytes);
            assert_eq!((taken.len(), taken.as_ptr().addr() % LINE_BYTES), (bytes, 0));
        }
        let blocks = memory.take(2 * BLOCK_BYTES);
        let mut expected = [blocks.as_ptr().addr(), blocks.as_ptr().addr() + BLOCK_BYTES];
        memory.give(blocks);
        memory.give(memory.take(100));
        let taken = [memory.take(BLOCK_BYTES), memory.take(BLOCK_BYTES)];
        let mut addresses = [taken[0].as_ptr().addr(), taken[1].as_ptr().addr()];
        expected.sort_unstable();
        addresses.sort_unstable();
        assert_eq!(addresses, expected);
    }

    #[test]
    fn blocks_stand_side_by_side_until_a_region_is_full() {
        let memory = Memory::default();
        let blocks: Vec<_> = (0..=REGION_BYTES / BLOCK_BYTES).map(|_| memory.take(BLOCK_BYTES)).collect();
        let start = |block: usize| blocks[block].as_ptr().addr();
        assert!((1..REGION_BYTES / BLOCK_BYTES).all(|block| start(block) == start(block - 1) + BLOCK_BYTES));
        assert!([0, REGION_BYTES / BLOCK_BYTES].iter().all(|&block| start(block).is_multiple_of(HUGE_PAGE_BYTES)));
    }
}
