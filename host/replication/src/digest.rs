//! Digest of all records of a table: equal on two nodes exactly if they hold byte-equal records.
//!
//! Owns how records are hashed. Knows nothing of shards or locks. Bounds: 32 bytes of memory per record while it is
//! computed.

use herd_model::Digest;
use sha2::{Digest as _, Sha256};

use crate::rank::Rank;

/// Collects the SHA-256 of every record with its key.
///
/// The digest is the SHA-256 over the sorted hashes. Sorting makes it independent of the order in which records are
/// added, and unlike a sum of hashes it cannot be steered to a collision by choosing records.
#[derive(Default)]
pub(super) struct DigestBuilder(Vec<[u8; 32]>);

impl DigestBuilder {
    /// Adds a record.
    pub(super) fn add(&mut self, key: &[u8], rank: Rank<'_>) {
        let mut hash = Sha256::new();
        // Lengths first, or bytes could move from one part to the next without a change of the hash.
        for part in [key, rank.rank, rank.record] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(rank.reign.0.to_be_bytes());
        hash.update(rank.form.to_be_bytes());
        self.0.push(hash.finalize().into());
    }

    /// Computes the digest of the records that were added.
    pub(super) fn finish(mut self) -> Digest {
        self.0.sort_unstable();
        Digest::of(self.0.as_flattened())
    }
}
