//! Hashes of records, and the buckets in which they are added up.
//!
//! Owns which fields of a record count: all that peers must agree on, and not its stamp. Knows nothing of shards or locks.
//!
//! A sum of hashes is independent of the order of records and can be updated in part. It cannot be steered to a collision without the
//! key of the hash, which only the nodes of a herd know.

use std::hash::Hasher as _;

use herd_model::Digest;
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::wire_report::WireReport;

/// Keyed hashes of records, equal at all nodes of a herd.
#[derive(Debug)]
pub(crate) struct RecordHasher {
    places: SipHasher13,
    records: SipHasher24,
}

/// Sum of the hashes of some records, modulo 2^128, and their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) sum: u128,
    pub(crate) count: u64,
}

impl RecordHasher {
    /// Creates the hasher of a herd.
    pub(crate) fn new(herd_key: u128) -> Self {
        let key = herd_key.to_le_bytes();
        Self { places: SipHasher13::new_with_key(&key), records: SipHasher24::new_with_key(&key) }
    }

    /// Returns the place of a key among 2^16. A bucket of depth `d` holds the places that share their first `d` bits.
    #[inline]
    pub(crate) fn place(&self, key: &[u8]) -> u16 {
        let [first, second, ..] = self.places.hash(key).to_be_bytes();
        u16::from_be_bytes([first, second])
    }

    /// Returns the hash of a record.
    #[inline]
    pub(crate) fn hash(&self, report: &WireReport<'_>) -> u128 {
        let WireReport { head, key, reign, rank, form, record, .. } = *report;
        let mut hasher = self.records;
        // Lengths first, or bytes could move from one part to the next without a change of the hash.
        let mut fixed = [0; 45];
        fixed[0] = u8::from(head.tombstone);
        let numbers = [head.expires_at, reign, form.into(), key.len() as u64, rank.len() as u64];
        for (place, number) in fixed[1..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        hasher.write(&fixed);
        for part in [key, rank, record] {
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }
}

impl Bucket {
    /// Adds the records of another bucket.
    #[inline]
    pub(crate) fn add(&mut self, other: Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.count = self.count.wrapping_add(other.count);
    }

    /// Removes the records of another bucket.
    #[inline]
    pub(crate) fn subtract(&mut self, other: Self) {
        self.sum = self.sum.wrapping_sub(other.sum);
        self.count = self.count.wrapping_sub(other.count);
    }

    /// Returns the digest of the records, for people and scripts.
    pub(crate) fn digest(self) -> Digest {
        Digest::of(&[&self.sum.to_le_bytes()[..], &self.count.to_le_bytes()].concat())
    }
}

/// Bits of a place.
pub(crate) const PLACE_BITS: u32 = u16::BITS;
