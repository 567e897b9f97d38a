//! One record under its key, in one allocation.

use herd_model::Reign;

use super::origins::OriginId;
use super::prefetch::prefetch;

/// What decides between two records of a key: the higher one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank<'a> {
    /// First.
    pub reign: Reign,
    /// Then, as bytes.
    pub rank: &'a [u8],
    /// Then, as bytes.
    pub record: &'a [u8],
    /// Then how it is written, so that two nodes cannot hold what looks the same and is not.
    pub form: u32,
}

/// A head, a key, the rank of its record, and the record, behind one pointer: a table of millions of clients must not pay
/// for four, and its slots stay small.
#[derive(Debug)]
pub(super) struct Entry(Box<[u8]>);

/// What an entry begins with.
#[derive(Clone, Copy, Debug)]
struct Head {
    reign: Reign,
    form: u32,
    key_length: u32,
    origin: OriginId,
    rank_length: u8,
}

impl Entry {
    /// The caller has checked that a key is at most 4 GiB and a rank at most 64 bytes long.
    pub(super) fn new(key: &[u8], rank: Rank<'_>, origin: OriginId) -> Self {
        Self([&Head::of(key, rank, origin).bytes(), key, rank.rank, rank.record].concat().into())
    }

    /// Puts another record under the same key. One of the same length, as most are, takes the place of the old one.
    pub(super) fn replace(&mut self, key: &[u8], rank: Rank<'_>, origin: OriginId) {
        if HEAD_BYTES + key.len() + rank.rank.len() + rank.record.len() != self.0.len() {
            *self = Self::new(key, rank, origin);
            return;
        }
        self.0[..HEAD_BYTES].copy_from_slice(&Head::of(key, rank, origin).bytes());
        let (old_rank, old_record) = self.0[HEAD_BYTES + key.len()..].split_at_mut(rank.rank.len());
        old_rank.copy_from_slice(rank.rank);
        old_record.copy_from_slice(rank.record);
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.0[HEAD_BYTES..][..self.head().key_length as usize]
    }

    pub(super) fn origin(&self) -> OriginId {
        self.head().origin
    }

    pub(super) fn rank(&self) -> Rank<'_> {
        let Head { reign, form, key_length, rank_length, .. } = self.head();
        let (rank, record) = self.0[HEAD_BYTES + key_length as usize..].split_at(rank_length.into());
        Rank { reign, rank, record, form }
    }

    /// Asks for its memory, which is to be used soon.
    pub(super) fn prefetch(&self) {
        prefetch(&self.0);
    }

    /// How many bytes the key, the rank and the record have.
    pub(super) fn len(&self) -> usize {
        self.0.len() - HEAD_BYTES
    }

    fn head(&self) -> Head {
        Head::read(self.0.first_chunk().expect("every entry begins with a head"))
    }
}

impl Head {
    fn of(key: &[u8], rank: Rank<'_>, origin: OriginId) -> Self {
        Self {
            reign: rank.reign,
            form: rank.form,
            key_length: u32::try_from(key.len()).unwrap_or(u32::MAX),
            origin,
            rank_length: u8::try_from(rank.rank.len()).unwrap_or(u8::MAX),
        }
    }

    fn bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(&self.reign.0.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.form.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.key_length.to_ne_bytes());
        bytes[16..18].copy_from_slice(&self.origin.0.to_ne_bytes());
        bytes[18] = self.rank_length;
        bytes
    }

    fn read(bytes: &[u8; HEAD_BYTES]) -> Self {
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

const HEAD_BYTES: usize = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_and_so_does_what_replaces_it() {
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
