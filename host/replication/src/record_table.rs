//! Record table: the highest-ranked record of every key that a node knows.
//!
//! The table is split into shards, each behind a lock of its own, so that workers seldom wait for one another. A lock is
//! held to compare and copy, never over a call of a guest.
//!
//! Knows nothing of sockets, clocks or guests, and compares records as bytes. Bounds: keys and bytes, where clients
//! connect ([`RecordLimits`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_model::{CountedRecords, Kept};
use herd_sdk::{Found, Records};
use siphasher::sip::SipHasher13;

use crate::bucket_addresses::BucketAddresses;
use crate::digest_tree::{DigestTree, DigestedTable};
use crate::expiry::{boundary, cutoff};
use crate::memory::Memory;
use crate::quarantined::Quarantined;
use crate::rank::Rank;
use crate::record_limits::RecordLimits;
use crate::records_status::RecordsStatus;
use crate::shard::{Applied, Offer, Offered, RUN_COST, Run, Scanned, Shard, ShardPosition};
use crate::stamp::{LaneId, Stamp};
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::usage::Usage;
use crate::vector::Vector;
use crate::wire_report::{Head, WireReport};

#[cfg(test)]
mod scan_tests;
#[cfg(test)]
mod tests;

/// Records of a node.
pub struct RecordTable {
    shards: Box<[LockedShard]>,
    /// SipHash-1-3, as in the standard library: clients choose their keys, and must not be able to choose colliding ones.
    hasher: SipHasher13,
    usage: Usage,
    /// Time by which records are expired or not, in seconds since the Unix epoch.
    now_s: AtomicU64,
    buckets: BucketAddresses,
    digests: DigestTree,
}

/// Shard behind its lock, on cache lines that it shares with no other: processors fetch lines in pairs.
#[repr(align(128))]
struct LockedShard(RwLock<Shard>);

impl RecordTable {
    /// Creates an empty table.
    ///
    /// `hash_key` is the key of the hash function. Where clients are strangers it must be random and secret, or they can
    /// choose keys that collide. Equal hash keys give equal orders in visits. `herd_key` is the key of digests, equal at all nodes.
    #[must_use]
    pub(crate) fn new(limits: RecordLimits, hash_key: u128, herd_key: u128) -> Self {
        let memory = Arc::new(Memory::default());
        Self {
            shards: (0..SHARDS).map(|_| LockedShard::new(Shard::new(Arc::clone(&memory)))).collect(),
            hasher: SipHasher13::new_with_key(&hash_key.to_le_bytes()),
            usage: Usage::new(limits),
            now_s: AtomicU64::new(0),
            buckets: BucketAddresses::new(SHARDS),
            digests: DigestTree::new(herd_key),
        }
    }

    /// Sets what is asked, before the records of clients grow, whether memory is short: true refuses them as a full table does. Those of peers are
    /// kept all the same, because nodes would not converge otherwise. Only the first call has an effect.
    pub fn refuse_growth_while(&self, is_short: fn() -> bool) {
        self.usage.ask(is_short);
    }

    /// Returns how many reports of clients were refused for want of room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.usage.refused()
    }

    /// Prefetches the records of keys that will be offered or looked up soon.
    ///
    /// The waits for memory overlap: first those for the buckets of all keys, and then those for their records.
    #[inline]
    pub fn prefetch<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) {
        let mut keys = keys.into_iter();
        let mut hashes = [0; PREFETCHED_TOGETHER_MAX];
        loop {
            let mut count = 0;
            for (hash, key) in hashes.iter_mut().zip(&mut keys) {
                *hash = self.hash(key);
                self.buckets.prefetch(shard_of(*hash), *hash);
                count += 1;
            }
            for hash in &hashes[..count] {
                self.shard(*hash).read().prefetch(*hash);
            }
            if count < hashes.len() {
                return;
            }
        }
    }

    /// Sets the time by which records are expired, in seconds since the Unix epoch. Guests are not shown expired records.
    pub fn set_now(&self, now_s: u64) {
        self.now_s.store(now_s, Ordering::Relaxed);
    }

    /// Returns that time.
    pub(crate) fn now_s(&self) -> u64 {
        self.now_s.load(Ordering::Relaxed)
    }

    /// Returns the cut-off of this node: records that had reached their boundary by then are removed, and not taken from peers.
    pub(crate) fn cutoff_s(&self) -> u64 {
        cutoff(self.now_s())
    }

    /// Returns whether a record has reached its boundary.
    #[inline]
    pub(crate) fn is_past(&self, head: Head) -> bool {
        head.expires_at != 0 && boundary(head.expires_at) <= self.cutoff_s()
    }

    /// Keeps a record if it wins. `applied` runs under the lock of its shard, right after the record is in the table: it must not
    /// call the table, and what it does is one step with the keep for all who see the record.
    #[inline]
    pub(crate) fn offer(&self, offer: Offer<'_>, applied: impl FnOnce(Applied<'_>)) -> Offered {
        if self.is_past(offer.head) {
            return Offered { kept: Kept::Outranked, holder: offer.head.stamp };
        }
        let hash = self.hash(offer.key);
        let mut shard = self.shard(hash).write();
        let offered = shard.offer(hash, offer, &self.usage, |key| self.hash(key), applied);
        self.buckets.set(shard_of(hash), shard.buckets());
        offered
    }

    /// Quarantines a peer's report if it wins, with `applied` as in [`offer`](Self::offer). The record that guests see under its key
    /// stays.
    pub(crate) fn quarantine(&self, report: Quarantined, applied: impl FnOnce(Applied<'_>)) -> Offered {
        if self.is_past(report.head) {
            return Offered { kept: Kept::Outranked, holder: report.head.stamp };
        }
        let hash = self.hash(&report.key);
        self.shard(hash).write().quarantine(hash, report, applied)
    }

    /// Returns the quarantined reports, to offer them to another generation.
    #[must_use]
    pub(crate) fn quarantined(&self) -> Vec<Quarantined> {
        let mut quarantined = Vec::new();
        for shard in 0..self.shards.len() {
            let mut position = Some(ShardPosition::default());
            // They come first in a scan.
            while let Some(at @ ShardPosition::Quarantined(_)) = position {
                let each = |scanned: Scanned<'_>| {
                    if let Scanned::Quarantined(report, _) = scanned {
                        quarantined.push(Quarantined::from(&report));
                    }
                };
                position = self.scan_run(shard, &at, RUN_COST, each).next;
            }
        }
        quarantined
    }

    /// Returns whether a report of a peer would be applied now.
    ///
    /// The answer may be out of date by the time of the keep, which compares again. It serves to drop duplicates before
    /// they cost a call of the guest.
    #[inline]
    #[must_use]
    pub(crate) fn wins(&self, report: &WireReport<'_>) -> bool {
        let hash = self.hash(report.key);
        !self.is_past(report.head) && self.shard(hash).read().wins(hash, report.key, report.standing())
    }

    /// Calls `each` with the records of a part of a shard, under its lock, as [`Shard::scan`]. `each` must not call the table.
    pub(crate) fn scan_run(
        &self,
        shard: usize,
        from: &ShardPosition,
        cost_max: usize,
        each: impl FnMut(Scanned<'_>),
    ) -> Run {
        self.shards[shard].read().scan(from, cost_max, |key| self.hash(key), each)
    }

    /// Calls `each` with what a peer of this vector lacks of a part of a shard, under its lock, as [`Shard::scan_beyond`]. `each` must not
    /// call the table.
    pub(crate) fn scan_run_beyond(
        &self,
        shard: usize,
        from: &ShardPosition,
        cost_max: usize,
        peer: &Vector,
        each: impl FnMut(WireReport<'_>, Option<WireReport<'_>>),
    ) -> Run {
        self.shards[shard].read().scan_beyond(peer, from, cost_max, |key| self.hash(key), each)
    }

    /// Calls `each` with every record and quarantined report of a shard, and whether it is quarantined. `each` must not call the table.
    ///
    /// The lock of the shard is held for some records at a time. What is in the table from the call to its end is visited, and a report
    /// that leaves quarantine meanwhile may be visited as both.
    pub fn visit(&self, shard: usize, mut each: impl FnMut(WireReport<'_>, bool)) {
        self.scan_shard(shard, |scanned| {
            let (report, is_quarantined) = scanned.record();
            each(report, is_quarantined);
        });
    }

    /// Calls `read_highest` with the record that is kept under a key, quarantined or not, and its stamp. It must not call the table.
    pub fn highest<R>(&self, key: &[u8], read_highest: impl FnOnce(Rank<'_>, Stamp) -> R) -> Option<R> {
        let hash = self.hash(key);
        self.shard(hash).read().highest(hash, key).map(|(standing, stamp)| read_highest(standing.rank, stamp))
    }

    /// Calls `read` with the record that is kept under a key, and whether it is quarantined. It must not call the table.
    pub(crate) fn winner<R>(&self, key: &[u8], read: impl FnOnce(&WireReport<'_>, bool) -> R) -> Option<R> {
        let hash = self.hash(key);
        self.shard(hash).read().winner(hash, key).map(|(report, is_quarantined)| read(&report, is_quarantined))
    }

    /// Removes what is kept under a key and had reached its boundary by a cut-off, if anything had, and returns whether it did. Slow: it
    /// may read the whole shard.
    pub(crate) fn remove_past(&self, key: &[u8], cutoff_s: u64) -> bool {
        let hash = self.hash(key);
        let is_past = |expires_at: u64| boundary(expires_at) <= cutoff_s;
        let any_is_past = {
            let shard = self.shard(hash).read();
            let highest = shard.highest(hash, key).map(|(standing, _)| standing.expires_at());
            let readable = shard.get(hash, key).map(|entry| entry.head().expires_at);
            [highest, readable].into_iter().flatten().any(is_past)
        };
        any_is_past && self.remove(shard_of(hash), |report, _| report.key == key && is_past(report.head.expires_at)) > 0
    }

    /// Number of shards. Visits take one at a time.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Calls `each` with what the node has kept under each key of a shard, and the readable record below if that is quarantined. `each`
    /// must not call the table. In runs, as [`visit`](Self::visit).
    pub(crate) fn visit_winners(&self, shard: usize, mut each: impl FnMut(WireReport<'_>, Option<WireReport<'_>>)) {
        self.scan_shard(shard, |scanned| {
            if let Some((winner, below)) = scanned.winner() {
                each(winner, below);
            }
        });
    }

    /// Removes the records of a shard that `is_doomed` names by their wire form and whether they are quarantined, and returns their number.
    /// In runs, as [`visit`](Self::visit).
    pub(crate) fn remove(&self, shard: usize, mut is_doomed: impl FnMut(&WireReport<'_>, bool) -> bool) -> usize {
        let locked = &self.shards[shard];
        let mut removal = locked.write().begin_removal();
        let mut position = Some(ShardPosition::default());
        while let Some(from) = position {
            let (hash, usage) = (|key: &[u8]| self.hash(key), &self.usage);
            position = locked.write().remove_run(&from, RUN_COST, usage, hash, &mut is_doomed, &mut removal);
        }
        locked.write().end_removal(&removal)
    }

    /// Removes the records of a shard that have reached their boundary, and returns their number.
    pub(crate) fn remove_expired(&self, shard: usize) -> usize {
        let cutoff_s = self.cutoff_s();
        // Most shards of most herds have none, and need no lock that workers wait for.
        let expires_from = self.shards[shard].read().expires_from();
        if boundary(expires_from) > cutoff_s {
            return 0;
        }
        self.remove(shard, |report, _| boundary(report.head.expires_at) <= cutoff_s)
    }

    /// Returns the digests of the table.
    pub(crate) fn digests(&self) -> &DigestTree {
        &self.digests
    }

    /// Returns the lanes to whose stamps records refer.
    #[must_use]
    pub(crate) fn referenced_lanes(&self) -> BTreeSet<LaneId> {
        self.shards.iter().flat_map(|shard| shard.read().lanes(|key| self.hash(key)).collect::<Vec<_>>()).collect()
    }

    /// Returns the number of keys, except those with a quarantined report only.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.usage.keys()
    }

    /// Returns the bytes of keys, ranks and records together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.usage.bytes()
    }

    /// Returns the number of quarantined reports.
    #[must_use]
    pub fn quarantined_len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().quarantined_len()).sum()
    }

    /// Returns the status of the table. Hashes the records of the shards that changed since the last digest, which takes a fraction of a
    /// second for a million of them: not for a worker thread.
    ///
    /// Records are read in runs, so the digest of a table in use mixes states. It is exact once clients are
    /// quiet.
    #[must_use]
    pub fn status(&self) -> RecordsStatus {
        let (keys, bytes, quarantined) = (self.keys(), self.bytes(), self.quarantined_len());
        let digest = self.digests.refresh(self, self.cutoff_s()).root().digest();
        RecordsStatus { keys, bytes, quarantined, refused: self.refused(), forms: self.form_counts(), digest }
    }

    fn scan_shard(&self, shard: usize, mut each: impl FnMut(Scanned<'_>)) {
        let mut position = (shard < self.shards.len()).then(ShardPosition::default);
        while let Some(from) = position {
            position = self.scan_run(shard, &from, RUN_COST, &mut each).next;
        }
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    #[inline]
    fn shard(&self, hash: u64) -> &LockedShard {
        &self.shards[shard_of(hash)]
    }
}

impl LockedShard {
    fn new(shard: Shard) -> Self {
        Self(RwLock::new(shard))
    }

    #[inline]
    fn read(&self) -> RwLockReadGuard<'_, Shard> {
        self.0.read()
    }

    #[inline]
    fn write(&self) -> RwLockWriteGuard<'_, Shard> {
        self.0.write()
    }
}

impl DigestedTable for RecordTable {
    fn shards(&self) -> usize {
        self.shards.len()
    }

    fn take_dirty(&self, shard: usize) -> bool {
        self.shards[shard].read().take_dirty()
    }

    fn visit_winners(&self, shard: usize, each: impl FnMut(WireReport<'_>, Option<WireReport<'_>>)) {
        self.visit_winners(shard, each);
    }
}

impl Records for RecordTable {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let found = |key: &&[u8]| {
            let hash = self.hash(key);
            let shard = self.shard(hash).read();
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
            for (form, count) in shard.read().forms() {
                *counts.entry(form).or_default() += count;
            }
        }
        counts
    }
}

/// Returns the shard of a hash: its lowest bits. The entry table of a shard uses the highest for the bucket and bits 8 to 15 for
/// the tag. Were any of them used twice, all keys of a shard would have equal bits there.
#[inline]
fn shard_of(hash: u64) -> usize {
    hash as usize % SHARDS
}

/// Enough that two of eight workers seldom meet in one shard. Few under shuttle, where a lock costs more.
const SHARDS: usize = if cfg!(all(shuttle, test)) { 2 } else { 256 };
/// So many records fill half of a first-level cache.
const PREFETCHED_TOGETHER_MAX: usize = 64;
