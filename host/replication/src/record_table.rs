//! Record table: the highest-ranked record of every key that a node knows.
//!
//! The table is split into shards, each behind a lock of its own, so that workers seldom wait for one another. A lock is
//! held to compare and copy, never over a call of a guest.
//!
//! Knows nothing of sockets, clocks or guests, and compares records as bytes. Bounds: keys and bytes, where clients
//! connect ([`RecordLimits`]).

use std::collections::BTreeMap;

use herd_model::{CountedRecords, Kept, Reign};
use herd_sdk::{Found, Records};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use siphasher::sip::SipHasher13;

use crate::digest::DigestBuilder;
use crate::origins::Origins;
use crate::quarantined::Quarantined;
use crate::rank::Rank;
use crate::record_limits::RecordLimits;
use crate::records_status::RecordsStatus;
use crate::shard::{Offer, OfferedBy, Shard};
use crate::usage::Usage;

#[cfg(test)]
mod tests;

/// Records of a node.
///
/// ```rust
/// use herd_model::{Kept, Reign};
/// use herd_replication::{Rank, RecordLimits, RecordTable};
/// use herd_sdk::Records;
///
/// let table = RecordTable::new(RecordLimits::default(), "Riley", 0x5eed);
/// assert_eq!(table.keep_from_client(b"kiwi", 1, b"2014", b"AT Riley"), Kept::Applied(Reign(0)));
///
/// // A peer offers an older record of the same client. It does not win, so it is neither applied nor flooded.
/// let older = Rank { reign: Reign(0), rank: b"2013", record: b"AT Jaquez", form: 1 };
/// assert!(!table.wins(b"kiwi", older));
/// assert_eq!(table.keep_from_peer(b"kiwi", older, "Jaquez"), Kept::Outranked);
/// assert_eq!(table.find(&[b"kiwi"])[0].as_ref().unwrap().bytes, b"AT Riley");
/// ```
pub struct RecordTable {
    shards: Box<[RwLock<Shard>]>,
    /// SipHash-1-3, as in the standard library: clients choose their keys, and must not be able to choose colliding ones.
    hasher: SipHasher13,
    origins: Origins,
    usage: Usage,
}

impl RecordTable {
    /// Creates the empty table of the node `node`.
    ///
    /// `hash_key` is the key of the hash function. Where clients are strangers it must be random and secret, or they can
    /// choose keys that collide. Equal hash keys give equal orders in [`visit_part`](Self::visit_part).
    #[must_use]
    pub fn new(limits: RecordLimits, node: &str, hash_key: u128) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: SipHasher13::new_with_key(&hash_key.to_le_bytes()),
            origins: Origins::new(node),
            usage: Usage::new(limits),
        }
    }

    /// Prefetches the record of a key that will be offered or looked up soon.
    ///
    /// Callers with several keys prefetch all of them before they use the first, so that the waits for memory overlap.
    #[inline]
    pub fn prefetch(&self, key: &[u8]) {
        let hash = self.hash(key);
        read(self.shard(hash)).prefetch(hash);
    }

    /// Keeps a client's record if it wins and there is room. The record inherits the reign of its key.
    #[inline]
    pub fn keep_from_client(&self, key: &[u8], form: u32, rank: &[u8], record: &[u8]) -> Kept {
        // Reign 0 stands for a key that is new; the shard replaces it by the reign of a known one.
        self.offer(Offer { key, rank: Rank { reign: Reign(0), rank, record, form }, by: OfferedBy::Client })
    }

    /// Keeps a peer's record if it wins. `origin` is the node that accepted it from a client. The limits do not apply.
    pub fn keep_from_peer(&self, key: &[u8], rank: Rank<'_>, origin: &str) -> Kept {
        self.offer(Offer { key, rank, by: OfferedBy::Peer(self.origins.id(origin)) })
    }

    /// Quarantines a peer's report if it wins. The record that guests see under its key stays.
    pub(crate) fn quarantine(&self, report: Quarantined) -> Kept {
        let hash = self.hash(&report.key);
        write(self.shard(hash)).quarantine(hash, report)
    }

    /// Removes all quarantined reports and returns them, to offer them to another generation.
    #[must_use]
    pub(crate) fn take_quarantined(&self) -> Vec<Quarantined> {
        self.shards.iter().flat_map(|shard| write(shard).take_quarantined()).collect()
    }

    /// Returns whether a record would win now.
    ///
    /// The answer may be out of date by the time of the keep, which compares again. It serves to drop duplicates before
    /// they cost a call of the guest.
    #[inline]
    #[must_use]
    pub fn wins(&self, key: &[u8], rank: Rank<'_>) -> bool {
        let hash = self.hash(key);
        read(self.shard(hash)).highest(hash, key).is_none_or(|highest| highest < rank)
    }

    /// Calls `each` with key, rank and origin of every record in one part of the table, and returns whether there is a
    /// next part.
    ///
    /// Parts are numbered from 0. A part is read under its lock, so `each` must not call the table. Records that are
    /// applied to a part after its visit are missing; their floods bring them to peers.
    pub fn visit_part(&self, part: usize, mut each: impl FnMut(&[u8], Rank<'_>, &str)) -> bool {
        let Some(shard) = self.shards.get(part) else { return false };
        let shard = read(shard);
        for entry in shard.winners() {
            each(entry.key(), entry.rank(), &self.origins.name(entry.origin()));
        }
        for quarantined in shard.quarantined() {
            each(&quarantined.key, quarantined.rank(), &quarantined.origin);
        }
        part + 1 < self.shards.len()
    }

    /// Returns the status of the table. Hashes every record for the digest, which takes seconds for millions of them: not
    /// for a worker thread.
    ///
    /// Shards are read one after the other, so the digest of a table in use mixes states. It is exact once clients are
    /// quiet.
    #[must_use]
    pub fn status(&self) -> RecordsStatus {
        let mut digest = DigestBuilder::default();
        let mut quarantined = 0;
        for shard in &self.shards {
            let shard = read(shard);
            quarantined += shard.quarantined().len();
            shard.quarantined().for_each(|report| digest.add(&report.key, report.rank()));
            shard.winners().for_each(|entry| digest.add(entry.key(), entry.rank()));
        }
        let (keys, bytes) = (self.usage.keys(), self.usage.bytes());
        RecordsStatus { keys, bytes, quarantined, forms: self.form_counts(), digest: digest.finish() }
    }

    fn offer(&self, offer: Offer<'_>) -> Kept {
        let hash = self.hash(offer.key);
        write(self.shard(hash)).offer(hash, offer, &self.usage, |key| self.hash(key))
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // A shard's hash table uses the low bits for the bucket and the highest seven for the tag. Taking any of them for
        // the shard would give all its keys equal bits there, so the shard comes from the middle.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

impl Records for RecordTable {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let found = |key: &&[u8]| {
            let hash = self.hash(key);
            let shard = read(self.shard(hash));
            let Rank { rank, record, form, .. } = shard.get(hash, key)?;
            Some(Found { rank: rank.to_vec(), form, bytes: record.to_vec() })
        };
        keys.iter().map(found).collect()
    }
}

impl CountedRecords for RecordTable {
    fn form_counts(&self) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        for shard in &self.shards {
            for (form, count) in read(shard).forms() {
                *counts.entry(form).or_default() += count;
            }
        }
        counts
    }
}

/// Locks a shard to read it. A poisoned lock is used as it is: nothing panics halfway through a change of a shard.
#[inline]
fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read()
}

/// Locks a shard to change it, as [`read`].
#[inline]
fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write()
}

/// Enough that two of eight workers seldom meet in one shard.
const SHARDS: usize = 256;
