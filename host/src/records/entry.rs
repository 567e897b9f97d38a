//! One record under its key, in one allocation.

use serde::{Deserialize, Serialize};

use super::origins::OriginId;

/// How often a key was forgotten. A record of a higher reign wins whatever its rank, so nothing older comes back.
/// Guests never see it: a keep inherits its key's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reign(pub u64);

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

/// A key, the rank of its record, and the record, behind one pointer: a table of a million clients must not
/// pay for three.
#[derive(Debug)]
pub(super) struct Entry {
    reign: Reign,
    form: u32,
    key_length: u32,
    origin: OriginId,
    rank_length: u8,
    bytes: Box<[u8]>,
}

impl Entry {
    /// The caller has checked that a key is at most 4 GiB and a rank at most 64 bytes long.
    pub(super) fn new(key: &[u8], rank: Rank<'_>, origin: OriginId) -> Self {
        Self {
            reign: rank.reign,
            form: rank.form,
            origin,
            key_length: u32::try_from(key.len()).unwrap_or(u32::MAX),
            rank_length: u8::try_from(rank.rank.len()).unwrap_or(u8::MAX),
            bytes: [key, rank.rank, rank.record].concat().into(),
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.key_length as usize]
    }

    pub(super) fn origin(&self) -> OriginId {
        self.origin
    }

    pub(super) fn rank(&self) -> Rank<'_> {
        let (rank, record) = self.bytes[self.key_length as usize..].split_at(self.rank_length.into());
        Rank { reign: self.reign, rank, record, form: self.form }
    }

    /// How many bytes the key, the rank and the record have.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}
