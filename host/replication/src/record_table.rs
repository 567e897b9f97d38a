//! Record table: the highest-ranked record of every key that a node knows.
//!
//! The table is split into shards, each behind a lock of its own, so that workers seldom wait for one another. A lock is
//! held to compare and copy, never over a call of a guest.
//!
//! Knows nothing of sockets, clocks or guests, and compares records as bytes. Bounds: keys and bytes, where clients
//! connect ([`RecordLimits`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use herd_model::CountedRecords;
use herd_sdk::{Found, Records};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use siphasher::sip::SipHasher13;

use crate::digest::DigestBuilder;
use crate::quarantined::Quarantined;
use crate::rank::Rank;
use crate::record_limits::RecordLimits;
use crate::records_status::RecordsStatus;
use crate::shard::{Applied, Offer, Offered, Shard};
use crate::stamp::{LaneId, Stamp};
use crate::usage::Usage;
use crate::vector::Vector;
use crate::wire_report::{Head, WireReport};

#[cfg(test)]
mod tests;

/// Records of a node.
pub struct RecordTable {
    shards: Box<[RwLock<Shard>]>,
    /// SipHash-1-3, as in the standard library: clients choose their keys, and must not be able to choose colliding ones.
    hasher: SipHasher13,
    usage: Usage,
    /// Time by which records are expired or not, in seconds since the Unix epoch.
    now_s: AtomicU64,
}

impl RecordTable {
    /// Creates an empty table.
    ///
    /// `hash_key` is the key of the hash function. Where clients are strangers it must be random and secret, or they can
    /// choose keys that collide. Equal hash keys give equal orders in visits.
    #[must_use]
    pub(crate) fn new(limits: RecordLimits, hash_key: u128) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: SipHasher13::new_with_key(&hash_key.to_le_bytes()),
            usage: Usage::new(limits),
            now_s: AtomicU64::new(0),
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

    /// Sets the time by which records are expired, in seconds since the Unix epoch. Guests are not shown expired records.
    pub fn set_now(&self, now_s: u64) {
        self.now_s.store(now_s, Ordering::Relaxed);
    }

    /// Keeps a record if it wins. `applied` runs under the lock of its shard, right after the record is in the table: it must not
    /// call the table, and what it does is one step with the keep for all who see the record.
    #[inline]
    pub(crate) fn offer(&self, offer: Offer<'_>, applied: impl FnOnce(Applied<'_>)) -> Offered {
        let hash = self.hash(offer.key);
        write(self.shard(hash)).offer(hash, offer, &self.usage, |key| self.hash(key), applied)
    }

    /// Quarantines a peer's report if it wins, with `applied` as in [`offer`](Self::offer). The record that guests see under its key
    /// stays.
    pub(crate) fn quarantine(&self, report: Quarantined, applied: impl FnOnce(Applied<'_>)) -> Offered {
        let hash = self.hash(&report.key);
        write(self.shard(hash)).quarantine(hash, report, applied)
    }

    /// Returns the quarantined reports, to offer them to another generation.
    #[must_use]
    pub(crate) fn quarantined(&self) -> Vec<Quarantined> {
        self.shards.iter().flat_map(|shard| read(shard).quarantined().cloned().collect::<Vec<_>>()).collect()
    }

    /// Returns whether a report of a peer would be applied now.
    ///
    /// The answer may be out of date by the time of the keep, which compares again. It serves to drop duplicates before
    /// they cost a call of the guest.
    #[inline]
    #[must_use]
    pub(crate) fn wins(&self, key: &[u8], rank: Rank<'_>) -> bool {
        let hash = self.hash(key);
        read(self.shard(hash)).wins(hash, key, rank)
    }

    /// Number of shards. Visits take one at a time, under its lock.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Calls `each` with what a peer of this vector lacks of a shard, as [`Shard::visit_beyond`]. `each` must not call the table.
    pub(crate) fn visit_beyond(
        &self,
        shard: usize,
        peer: &Vector,
        each: impl FnMut(WireReport<'_>, Option<WireReport<'_>>),
    ) -> bool {
        read(&self.shards[shard]).visit_beyond(peer, |key| self.hash(key), each)
    }

    /// Calls `each` with every record and quarantined report of a shard, and whether it is quarantined. `each` must not call the table.
    pub fn visit(&self, shard: usize, each: impl FnMut(WireReport<'_>, bool)) {
        if let Some(shard) = self.shards.get(shard) {
            read(shard).visit(each);
        }
    }

    /// Calls `read_highest` with the record that is kept under a key, quarantined or not, and its stamp. It must not call the table.
    pub fn highest<R>(&self, key: &[u8], read_highest: impl FnOnce(Rank<'_>, Stamp) -> R) -> Option<R> {
        let hash = self.hash(key);
        read(self.shard(hash)).highest(hash, key).map(|(rank, stamp)| read_highest(rank, stamp))
    }

    /// Returns the lanes to whose stamps records refer.
    #[must_use]
    pub(crate) fn referenced_lanes(&self) -> BTreeSet<LaneId> {
        self.shards.iter().flat_map(|shard| read(shard).lanes(|key| self.hash(key)).collect::<Vec<_>>()).collect()
    }

    /// Returns the number of keys, except those with a quarantined report only.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.usage.keys()
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
            let entry = shard.get(hash, key)?;
            let Head { expires_at, tombstone, .. } = entry.head();
            if tombstone || (expires_at != 0 && expires_at <= self.now_s.load(Ordering::Relaxed)) {
                return None;
            }
            let Rank { rank, record, form, .. } = entry.rank();
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
