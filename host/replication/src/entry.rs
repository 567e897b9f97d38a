//! Stored record: head, key, rank and record, one after the other.
//!
//! Owns the layout of those bytes. Knows nothing of where they lie, nor of locks, hashes or limits.
//!
//! Bounds: a key of 1 byte to 64 KiB, a rank of at most 255 bytes and a reign below 2^32, as wide as the header stores them.

use herd_model::Reign;

use crate::rank::{Rank, Standing};
use crate::stamp::{LaneId, Stamp};
use crate::wire_report::{Head, WireReport};

/// Stored record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a>(&'a [u8]);

/// Record to store. The caller has checked the lengths.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewEntry<'a> {
    pub(super) key: &'a [u8],
    pub(super) rank: Rank<'a>,
    pub(super) head: Head,
}

/// Part at the start of an entry: 22 bytes, and 8 more for each of expiry and index if there is one. Its bytes are in native order,
/// because they never leave the process.
#[derive(Clone, Copy, Debug)]
struct Header {
    head: Head,
    reign: u32,
    form: u32,
    key_length: usize,
    rank_length: usize,
    /// Bytes of the header itself.
    length: usize,
}

impl<'a> Entry<'a> {
    /// Reads the bytes that [`NewEntry::write`] wrote.
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[inline]
    pub(super) fn key(self) -> &'a [u8] {
        let header = self.header();
        &self.0[header.length..][..header.key_length]
    }

    #[inline]
    pub(super) fn head(self) -> Head {
        self.header().head
    }

    #[inline]
    pub(super) fn rank(self) -> Rank<'a> {
        let Header { reign, form, key_length, rank_length, length, .. } = self.header();
        let (rank, record) = self.0[length + key_length..].split_at(rank_length);
        Rank { reign: Reign(reign.into()), rank, record, form }
    }

    /// Returns the place of the record in the order of its key.
    #[inline]
    pub(super) fn standing(self) -> Standing<'a> {
        self.head().standing(self.rank())
    }

    /// Returns the form that the record is counted in.
    #[inline]
    pub(super) fn counted_form(&self) -> Option<u32> {
        self.head().counted_form(self.rank().form)
    }

    /// Borrows the record as it travels.
    pub(super) fn wire(self) -> WireReport<'a> {
        let Rank { reign, rank, record, form } = self.rank();
        WireReport { head: self.head(), key: self.key(), reign: reign.0, rank, form, record, extension: b"" }
    }

    /// Bytes of key, rank and record together.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.0.len() - self.header().length
    }

    #[inline]
    fn header(self) -> Header {
        Header::read(self.0)
    }
}

impl NewEntry<'_> {
    /// Returns the bytes that the entry takes.
    #[inline]
    pub(super) fn length(&self) -> usize {
        header_length(self.head) + self.key.len() + self.rank.rank.len() + self.rank.record.len()
    }

    /// Writes the entry over `to`, which has its [`length`](Self::length).
    #[inline]
    pub(super) fn write(&self, mut to: &mut [u8]) {
        let mut header = [0; HEADER_BYTES_MAX];
        Header::write(&mut header, self.key, self.rank, self.head);
        for part in [&header[..header_length(self.head)], self.key, self.rank.rank, self.rank.record] {
            to.split_off_mut(..part.len()).expect("the length of the entry").copy_from_slice(part);
        }
    }
}

impl Header {
    fn write(out: &mut [u8; HEADER_BYTES_MAX], key: &[u8], rank: Rank<'_>, head: Head) {
        let Head { stamp, expires_at, index, tombstone } = head;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        out[0] = flag(expires_at != 0, EXPIRES) | flag(index != 0, INDEX) | flag(tombstone, TOMBSTONE);
        out[1] = u8::try_from(rank.rank.len()).unwrap_or(u8::MAX);
        // A key has at least one byte, so that 64 KiB of them fit.
        out[2..4].copy_from_slice(&u16::try_from(key.len().saturating_sub(1)).unwrap_or(u16::MAX).to_ne_bytes());
        out[4..8].copy_from_slice(&u32::try_from(rank.reign.0).unwrap_or(u32::MAX).to_ne_bytes());
        out[8..12].copy_from_slice(&rank.form.to_ne_bytes());
        out[12..16].copy_from_slice(&stamp.lane.0.to_ne_bytes());
        out[16..22].copy_from_slice(&stamp.seq.to_le_bytes()[..6]);
        let mut end = HEADER_BYTES;
        for field in [expires_at, index] {
            if field != 0 {
                out[end..end + 8].copy_from_slice(&field.to_ne_bytes());
                end += 8;
            }
        }
    }

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        let fixed: &[u8; HEADER_BYTES] = bytes.first_chunk().expect("every entry begins with a header");
        let [flags, rank_length, k0, k1, r0, r1, r2, r3, f0, f1, f2, f3, l0, l1, l2, l3, s0, s1, s2, s3, s4, s5] =
            *fixed;
        let mut length = HEADER_BYTES;
        let mut field = |flag: u8| {
            if flags & flag == 0 {
                return 0;
            }
            length += 8;
            bytes[length - 8..].first_chunk().map_or(0, |field| u64::from_ne_bytes(*field))
        };
        let (expires_at, index) = (field(EXPIRES), field(INDEX));
        let stamp = Stamp {
            lane: LaneId(u32::from_ne_bytes([l0, l1, l2, l3])),
            seq: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, 0, 0]),
        };
        Self {
            head: Head { stamp, expires_at, index, tombstone: flags & TOMBSTONE != 0 },
            reign: u32::from_ne_bytes([r0, r1, r2, r3]),
            form: u32::from_ne_bytes([f0, f1, f2, f3]),
            key_length: usize::from(u16::from_ne_bytes([k0, k1])) + 1,
            rank_length: rank_length.into(),
            length,
        }
    }
}

/// Bytes of the header of a record with this head.
#[inline]
fn header_length(head: Head) -> usize {
    HEADER_BYTES + 8 * (usize::from(head.expires_at != 0) + usize::from(head.index != 0))
}

const HEADER_BYTES: usize = 22;
const HEADER_BYTES_MAX: usize = HEADER_BYTES + 16;
const EXPIRES: u8 = 1;
const INDEX: u8 = 2;
const TOMBSTONE: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes an entry over other bytes and reads it back.
    fn check(key: &[u8], rank: Rank<'_>, head: Head) {
        let new = NewEntry { key, rank, head };
        let mut bytes = vec![0xff; new.length()];
        new.write(&mut bytes);
        let entry = Entry::new(&bytes);
        assert_eq!((entry.key(), entry.rank(), entry.head()), (key, rank, head));
        assert_eq!(entry.len(), key.len() + rank.rank.len() + rank.record.len());
    }

    #[test]
    fn entry_reads_back_as_it_was_written() {
        let rank = |rank, record| Rank { reign: Reign(u64::from(u32::MAX) - 7), rank, record, form: 9 };
        let stamp = Stamp { lane: LaneId(300), seq: Stamp::SEQ_MAX };
        let head = Head { stamp, expires_at: u64::MAX - 1, index: 0, tombstone: false };
        let other = Head { index: 7, tombstone: true, expires_at: 0, ..head };
        for head in [head, other, Head { index: 7, ..head }, Head::of(stamp)] {
            check(b"key", rank(b"rank", b"record"), head);
            check(b"key", rank(b"", b"longer than before"), head);
        }
    }

    #[test]
    fn entry_holds_the_longest_key_and_rank() {
        let rank = Rank { reign: Reign(0), rank: &[2; 64], record: b"", form: 0 };
        check(&vec![1; 64 << 10], rank, Head::of(Stamp { lane: LaneId(0), seq: 1 }));
    }
}
