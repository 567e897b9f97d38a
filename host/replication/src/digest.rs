//! One number for all that is kept: equal on two nodes exactly if they hold byte-equal records.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::entry::Rank;

/// The SHA-256 over the sorted SHA-256 of every record with its key. Sorting makes it independent of the order in
/// which records arrived, and unlike a sum it cannot be steered to a collision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsDigest([u8; 32]);

impl fmt::Display for RecordsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for RecordsDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Collects the records of a table.
#[derive(Default)]
pub(super) struct DigestBuilder(Vec<[u8; 32]>);

impl DigestBuilder {
    pub(super) fn add(&mut self, key: &[u8], rank: Rank<'_>) {
        let mut hash = Sha256::new();
        // Lengths first, so that bytes cannot move from one part to the next unnoticed.
        for part in [key, rank.rank, rank.record] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(rank.reign.0.to_be_bytes());
        hash.update(rank.form.to_be_bytes());
        self.0.push(hash.finalize().into());
    }

    pub(super) fn finish(mut self) -> RecordsDigest {
        self.0.sort_unstable();
        RecordsDigest(Sha256::digest(self.0.as_flattened()).into())
    }
}
