//! Stored record: key, rank and record in one allocation.
//!
//! Owns the layout of those bytes. Knows nothing of locks, hashes or limits.
//!
//! Bounds: a key of at most 4 GiB and a rank of at most 255 bytes, as wide as the header stores their lengths.

use herd_model::Reign;

use crate::origins::OriginId;
use crate::prefetch::prefetch;
use crate::rank::Rank;

/// Header, key, rank and record behind one pointer.
///
/// A table of millions of clients must not pay for an allocation per part, and hash slots of one pointer keep the table
/// small when it grows or is probed.
#[derive(Debug)]
pub(super) struct Entry(Box<[u8]>);

/// Fixed-size part at the start of an entry. Its bytes are in native order, because they never leave the process.
#[derive(Clone, Copy, Debug)]
struct Header {
    reign: Reign,
    form: u32,
    key_length: u32,
    origin: OriginId,
    rank_length: u8,
}

impl Entry {
    /// Creates an entry. The caller has checked that the key has at most 4 GiB and the rank at most 64 bytes.
    pub(super) fn new(key: &[u8], rank: Rank<'_>, origin: OriginId) -> Self {
        Self([&Header::of(key, rank, origin).bytes(), key, rank.rank, rank.record].concat().into())
    }

    /// Replaces the record. `key` is the key of the entry.
    pub(super) fn replace(&mut self, key: &[u8], rank: Rank<'_>, origin: OriginId) {
        // Reports of one client mostly have the same length. Overwriting in place saves an allocation on the hot path,
        // and the memory is in the cache already because the ranks were just compared.
        if HEADER_BYTES + key.len() + rank.rank.len() + rank.record.len() != self.0.len() {
            *self = Self::new(key, rank, origin);
            return;
        }
        self.0[..HEADER_BYTES].copy_from_slice(&Header::of(key, rank, origin).bytes());
        let (old_rank, old_record) = self.0[HEADER_BYTES + key.len()..].split_at_mut(rank.rank.len());
        old_rank.copy_from_slice(rank.rank);
        old_record.copy_from_slice(rank.record);
    }

    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        &self.0[HEADER_BYTES..][..self.header().key_length as usize]
    }

    #[inline]
    pub(super) fn origin(&self) -> OriginId {
        self.header().origin
    }

    #[inline]
    pub(super) fn rank(&self) -> Rank<'_> {
        let Header { reign, form, key_length, rank_length, .. } = self.header();
        let (rank, record) = self.0[HEADER_BYTES + key_length as usize..].split_at(rank_length.into());
        Rank { reign, rank, record, form }
    }

    /// Prefetches the memory of the entry.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch(&self.0);
    }

    /// Bytes of key, rank and record together.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len() - HEADER_BYTES
    }

    #[inline]
    fn header(&self) -> Header {
        Header::read(self.0.first_chunk().expect("every entry begins with a header"))
    }
}

impl Header {
    fn of(key: &[u8], rank: Rank<'_>, origin: OriginId) -> Self {
        Self {
            reign: rank.reign,
            form: rank.form,
            key_length: u32::try_from(key.len()).unwrap_or(u32::MAX),
            origin,
            rank_length: u8::try_from(rank.rank.len()).unwrap_or(u8::MAX),
        }
    }

    fn bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.reign.0.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.form.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.key_length.to_ne_bytes());
        bytes[16..18].copy_from_slice(&self.origin.0.to_ne_bytes());
        bytes[18] = self.rank_length;
        bytes
    }

    #[inline]
    fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, rank_length] = *bytes;
        Self {
            reign: Reign(u64::from_ne_bytes([a, b, c, d, e, f, g, h])),
            form: u32::from_ne_bytes([i, j, k, l]),
            key_length: u32::from_ne_bytes([m, n, o, p]),
            origin: OriginId(u16::from_ne_bytes([q, r])),
            rank_length,
        }
    }
}

const HEADER_BYTES: usize = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_reads_back_after_creation_and_after_replacement() {
        let rank = |rank, record| Rank { reign: Reign(u64::MAX - 7), rank, record, form: 9 };
        let mut entry = Entry::new(b"key", rank(b"rank", b"record"), OriginId(300));
        assert_eq!((entry.key(), entry.rank(), entry.origin()), (&b"key"[..], rank(b"rank", b"record"), OriginId(300)));
        for (new, record) in [(&b"knar"[..], &b"droced"[..]), (b"ranks", b"recor"), (b"", b"longer than before")] {
            let before = entry.0.as_ptr();
            let in_place = new.len() + record.len() == entry.len() - 3;
            entry.replace(b"key", rank(new, record), OriginId::SELF);
            assert_eq!((entry.key(), entry.rank(), entry.origin()), (&b"key"[..], rank(new, record), OriginId::SELF));
            assert_eq!(entry.len(), 3 + new.len() + record.len());
            assert_eq!(entry.0.as_ptr() == before, in_place, "{}", record.len());
        }
    }
}
