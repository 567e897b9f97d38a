//! A block of a log: head with lengths and checksums, then its payload.
//!
//! ```text
//! kind (32 bits) | length of the payload (32) | CRC-32C of the payload (32) | CRC-32C of these 12 bytes (32) | payload
//! ```
//!
//! The head has a checksum of its own, so that a damaged length is not taken for a log that ends early. Knows nothing of the payload.
//! Bounds: [`BLOCK_BYTES_MAX`].

use crate::bytes::{Bytes, length, put_u32};

/// Kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    Context,
    Guest,
    Calls,
}

/// Head of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockHead {
    pub(crate) kind: BlockKind,
    pub(crate) length: usize,
    checksum: u32,
}

impl BlockHead {
    /// Encodes the head of a payload that consists of parts.
    pub(crate) fn write(kind: BlockKind, parts: [&[u8]; 2]) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        put_u32(&mut head, KINDS.iter().position(|&other| other == kind).map_or(0, |index| length(index) + 1));
        put_u32(&mut head, length(parts[0].len() + parts[1].len()));
        put_u32(&mut head, parts.iter().fold(0, |checksum, part| crc32c::crc32c_append(checksum, part)));
        let checksum = crc32c::crc32c(&head);
        put_u32(&mut head, checksum);
        head
    }

    /// Decodes a head.
    ///
    /// # Errors
    ///
    /// The head is damaged, of another kind, or too long. The text says which.
    pub(crate) fn read(head: &[u8; HEAD_BYTES]) -> Result<Self, &'static str> {
        let mut from = Bytes(head);
        let (Some(kind), Some(length), Some(checksum), Some(of_head)) =
            (from.u32(), from.u32(), from.u32(), from.u32())
        else {
            return Err("the head of a block is too short");
        };
        if crc32c::crc32c(&head[..HEAD_BYTES - 4]) != of_head {
            return Err("the checksum of the head of a block differs");
        }
        let kind = (kind as usize).checked_sub(1).and_then(|index| KINDS.get(index));
        let &kind = kind.ok_or("a block has a kind that this herd does not know")?;
        if length as usize > BLOCK_BYTES_MAX {
            return Err("a block is longer than any that is written");
        }
        Ok(Self { kind, length: length as usize, checksum })
    }

    /// Returns whether this is the payload that was written.
    pub(crate) fn fits(&self, payload: &[u8]) -> bool {
        crc32c::crc32c(payload) == self.checksum
    }
}

const KINDS: [BlockKind; 3] = [BlockKind::Context, BlockKind::Guest, BlockKind::Calls];
/// Bytes of a head.
pub(crate) const HEAD_BYTES: usize = 16;
/// Room for a guest of any size that a node loads.
const BLOCK_BYTES_MAX: usize = 256 << 20;
