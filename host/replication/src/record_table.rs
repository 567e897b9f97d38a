//! The record table: sharded, so that workers do not wait for one another.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry::{Occupied, Vacant};
use herd_model::{Kept, Reign};
use herd_sdk::{Found, Records};
use serde::{Deserialize, Serialize};

use super::digest::{DigestBuilder, RecordsDigest};
use super::entry::{Entry, Rank};
use super::origins::{OriginId, Origins};
use super::quarantined::Quarantined;

/// How much is taken from clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordLimits {
    /// How many keys. A new key over the limit is refused with an answer; known ones go on. Default 10,000,000.
    pub keys_max: usize,
    /// How many bytes of keys, ranks and records, in MiB. Default 4096.
    pub mib_max: usize,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self { keys_max: 10_000_000, mib_max: 4096 }
    }
}

/// The records of a node.
pub struct RecordTable {
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    origins: Origins,
    limits: RecordLimits,
    keys: AtomicUsize,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    visible: HashTable<Entry>,
    /// By key, and higher than what is shown. Rare, so not part of an entry.
    quarantined: HashMap<Vec<u8>, Quarantined>,
}

impl RecordTable {
    /// An empty table of the node of this name.
    #[must_use]
    pub fn new(limits: RecordLimits, node: &str) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            origins: Origins::new(node),
            limits,
            keys: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Says that a record under this key will be offered or looked up soon, so that its memory is on its way by then.
    pub fn prefetch(&self, key: &[u8]) {
        let hash = self.hasher.hash_one(key);
        let shard = read(self.shard(hash));
        // The first that may be it will do: to look closer is to wait for the very memory.
        let _ = shard.visible.find(hash, |entry| {
            entry.prefetch();
            true
        });
    }

    /// Offers what a client reported. It inherits the reign of its key.
    pub fn keep_from_client(&self, key: &[u8], form: u32, rank: &[u8], record: &[u8]) -> Kept {
        self.offer(key, Rank { reign: Reign(0), rank, record, form }, OfferedBy::Client)
    }

    /// Offers what a peer reported, and `origin` took from a client. Never refused for room.
    pub fn keep_from_peer(&self, key: &[u8], rank: Rank<'_>, origin: &str) -> Kept {
        self.offer(key, rank, OfferedBy::Peer(self.origins.id(origin)))
    }

    /// Offers what a peer reported and no guest would have: it is kept by rank, but what was there before stays
    /// readable.
    pub fn quarantine(&self, report: Quarantined) -> Kept {
        let (hash, mut shard) = self.write(&report.key);
        if shard.highest(hash, &report.key).is_some_and(|highest| highest >= report.rank()) {
            return Kept::Outranked;
        }
        let reign = report.reign;
        shard.quarantined.insert(report.key.clone(), report);
        Kept::Applied(reign)
    }

    /// Takes all quarantined reports, to offer them to another generation.
    #[must_use]
    pub fn take_quarantined(&self) -> Vec<Quarantined> {
        self.shards.iter().flat_map(|shard| std::mem::take(&mut write(shard).quarantined).into_values()).collect()
    }

    /// Whether a record would win.
    #[must_use]
    pub fn wins(&self, key: &[u8], rank: Rank<'_>) -> bool {
        let hash = self.hasher.hash_one(key);
        read(self.shard(hash)).highest(hash, key).is_none_or(|highest| highest < rank)
    }

    /// Calls `each` with every record of one part of the table, and says whether there is a next part. The parts are
    /// numbered from 0; a lock is held for the time of one part.
    pub fn visit_part(&self, part: usize, mut each: impl FnMut(&[u8], Rank<'_>, &str)) -> bool {
        let Some(shard) = self.shards.get(part) else { return false };
        let shard = read(shard);
        for entry in shard.visible.iter().filter(|entry| !shard.quarantined.contains_key(entry.key())) {
            each(entry.key(), entry.rank(), &self.origins.name(entry.origin()));
        }
        for quarantined in shard.quarantined.values() {
            each(&quarantined.key, quarantined.rank(), &quarantined.origin);
        }
        part + 1 < self.shards.len()
    }

    /// What is kept. Reads every record for the digest: not for a worker thread.
    #[must_use]
    pub fn status(&self) -> RecordsStatus {
        let mut builder = DigestBuilder::default();
        let mut quarantined = 0;
        for shard in &self.shards {
            let shard = read(shard);
            quarantined += shard.quarantined.len();
            for quarantined in shard.quarantined.values() {
                builder.add(&quarantined.key, quarantined.rank());
            }
            for entry in shard.visible.iter().filter(|entry| !shard.quarantined.contains_key(entry.key())) {
                builder.add(entry.key(), entry.rank());
            }
        }
        RecordsStatus {
            keys: self.keys.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            quarantined,
            digest: builder.finish(),
        }
    }

    fn offer(&self, key: &[u8], rank: Rank<'_>, offered: OfferedBy) -> Kept {
        let (hash, mut shard) = self.write(key);
        let Shard { visible, quarantined } = &mut *shard;
        // Nothing is quarantined as a rule, and then there is no key to hash and compare.
        let above = if quarantined.is_empty() { None } else { quarantined.get(key).map(Quarantined::rank) };
        let was_quarantined = above.is_some();
        let bytes = key.len() + rank.rank.len() + rank.record.len();
        let rehash = |entry: &Entry| self.hasher.hash_one(entry.key());
        let reign = match visible.entry(hash, |entry| entry.key() == key, rehash) {
            Occupied(mut slot) => {
                let highest = above.unwrap_or_else(|| slot.get().rank());
                let rank = offered.inheriting(rank, highest);
                if highest >= rank {
                    return Kept::Outranked;
                }
                let old = slot.get().len();
                if offered == OfferedBy::Client && !self.has_room(0, bytes.saturating_sub(old)) {
                    return Kept::NoRoom;
                }
                slot.get_mut().replace(key, rank, offered.origin());
                if bytes != old {
                    // Wrapping: the difference may be negative.
                    self.bytes.fetch_add(bytes.wrapping_sub(old), Ordering::Relaxed);
                }
                rank.reign
            }
            Vacant(slot) => {
                let rank = above.map_or(rank, |highest| offered.inheriting(rank, highest));
                if above.is_some_and(|highest| highest >= rank) {
                    return Kept::Outranked;
                }
                if offered == OfferedBy::Client && !self.has_room(1, bytes) {
                    return Kept::NoRoom;
                }
                slot.insert(Entry::new(key, rank, offered.origin()));
                self.keys.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                rank.reign
            }
        };
        if was_quarantined {
            quarantined.remove(key);
        }
        Kept::Applied(reign)
    }

    /// Whether there is room for so many more keys and bytes. What does not grow has it always.
    fn has_room(&self, keys: usize, bytes: usize) -> bool {
        let more_keys = self.keys.load(Ordering::Relaxed).saturating_add(keys);
        let more_bytes = self.bytes.load(Ordering::Relaxed).saturating_add(bytes);
        (keys == 0 || more_keys <= self.limits.keys_max)
            && (bytes == 0 || more_bytes <= self.limits.mib_max.saturating_mul(1 << 20))
    }

    fn write(&self, key: &[u8]) -> (u64, RwLockWriteGuard<'_, Shard>) {
        let hash = self.hasher.hash_one(key);
        (hash, write(self.shard(hash)))
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The table uses the low and the highest bits of the hash, so the shard takes some of the middle.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

/// Who offers a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OfferedBy {
    /// A client of this node. There must be room, and the record inherits the reign of its key.
    Client,
    /// A peer; this node took it from a client.
    Peer(OriginId),
}

impl OfferedBy {
    fn origin(self) -> OriginId {
        match self {
            Self::Client => OriginId::SELF,
            Self::Peer(origin) => origin,
        }
    }

    fn inheriting<'a>(self, rank: Rank<'a>, highest: Rank<'_>) -> Rank<'a> {
        match self {
            Self::Client => Rank { reign: highest.reign, ..rank },
            Self::Peer(_) => rank,
        }
    }
}

impl Records for RecordTable {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let found = |key: &&[u8]| {
            let hash = self.hasher.hash_one(*key);
            let shard = read(self.shard(hash));
            let entry = shard.get(hash, key)?;
            let rank = entry.rank();
            Some(Found { rank: rank.rank.to_vec(), form: rank.form, bytes: rank.record.to_vec() })
        };
        keys.iter().map(found).collect()
    }
}

impl Shard {
    fn get(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.visible.find(hash, |entry| entry.key() == key)
    }

    /// The highest rank under a key, whether it is shown or quarantined.
    fn highest(&self, hash: u64, key: &[u8]) -> Option<Rank<'_>> {
        let quarantined = self.quarantined.get(key).map(Quarantined::rank);
        quarantined.or_else(|| Some(self.get(hash, key)?.rank()))
    }
}

/// A panic while a shard was locked leaves it as whole as it was: every change is one assignment.
fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept, for people and scripts.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RecordsStatus {
    /// How many keys.
    pub keys: usize,
    /// How many bytes their keys, ranks and records have.
    pub bytes: usize,
    /// How many records are quarantined.
    pub quarantined: usize,
    /// Equal on two nodes exactly if they hold byte-equal records.
    pub digest: RecordsDigest,
}

/// Enough that two of eight workers meet in one rarely.
const SHARDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn table(keys_max: usize) -> RecordTable {
        RecordTable::new(RecordLimits { keys_max, mib_max: 1 }, "Riley")
    }

    fn shown(table: &RecordTable, key: &[u8]) -> Option<Vec<u8>> {
        table.find(&[key]).remove(0).map(|found| found.bytes)
    }

    fn quarantined(rank: &[u8], record: &[u8]) -> Quarantined {
        let origin = "Riley".into();
        Quarantined {
            key: b"k".to_vec(),
            reign: Reign(0),
            rank: rank.to_vec(),
            form: 0,
            record: record.to_vec(),
            origin,
        }
    }

    #[test]
    fn the_highest_reign_rank_and_record_win_in_whatever_order_they_come() {
        let offers: [(u64, &[u8], &[u8]); 4] = [(0, b"2", b"a"), (0, b"2", b"b"), (0, b"10", b"z"), (1, b"0", b"c")];
        let digests: Vec<_> = (0..offers.len())
            .map(|first| {
                let table = table(9);
                for &(reign, rank, record) in offers.iter().cycle().skip(first).take(offers.len()) {
                    let _ = table.keep_from_peer(b"k", Rank { reign: Reign(reign), rank, record, form: 0 }, "Jaquez");
                }
                assert_eq!(shown(&table, b"k").unwrap(), b"c");
                table.status().digest
            })
            .collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]));
    }

    #[test]
    fn an_equal_record_is_not_applied_again() {
        let table = table(9);
        assert_eq!(table.keep_from_client(b"k", 0, b"1", b"a"), Kept::Applied(Reign(0)));
        assert_eq!(table.keep_from_client(b"k", 0, b"1", b"a"), Kept::Outranked);
        assert!(!table.wins(b"k", Rank { reign: Reign(0), rank: b"1", record: b"a", form: 0 }));
        assert!(table.wins(b"k", Rank { reign: Reign(0), rank: b"1", record: b"b", form: 0 }));
    }

    #[test]
    fn a_client_inherits_the_reign_of_its_key() {
        let table = table(9);
        let _ = table.keep_from_peer(b"k", Rank { reign: Reign(7), rank: b"1", record: b"", form: 0 }, "Jaquez");
        assert_eq!(table.keep_from_client(b"k", 0, b"2", b"a"), Kept::Applied(Reign(7)));
    }

    #[test]
    fn a_new_key_over_the_limit_is_refused_to_clients_only() {
        let table = table(1);
        assert_eq!(table.keep_from_client(b"a", 0, b"1", b"x"), Kept::Applied(Reign(0)));
        assert_eq!(table.keep_from_client(b"b", 0, b"1", b"x"), Kept::NoRoom);
        assert_eq!(table.keep_from_client(b"a", 0, b"2", b"x"), Kept::Applied(Reign(0)));
        let rank = Rank { reign: Reign(0), rank: b"1", record: b"x", form: 0 };
        assert_eq!(table.keep_from_peer(b"b", rank, "Jaquez"), Kept::Applied(Reign(0)));
        assert_eq!(table.status().keys, 2);
    }

    #[test]
    fn a_known_key_may_not_grow_over_the_limit_either() {
        let table = table(9);
        let record = vec![b'x'; 600 << 10];
        assert_eq!(table.keep_from_client(b"a", 0, b"1", &record), Kept::Applied(Reign(0)));
        assert_eq!(table.keep_from_client(b"b", 0, b"1", b"x"), Kept::Applied(Reign(0)));
        assert_eq!(table.keep_from_client(b"b", 0, b"2", &record), Kept::NoRoom);
        assert_eq!(table.keep_from_client(b"a", 0, b"2", &record), Kept::Applied(Reign(0)), "it does not grow");
    }

    #[test]
    fn records_that_differ_in_form_only_have_an_order_too() {
        let (left, right) = (table(9), table(9));
        let offer = |table: &RecordTable, form| {
            let _ = table.keep_from_peer(b"k", Rank { reign: Reign(0), rank: b"1", record: b"x", form }, "Jaquez");
        };
        for form in [1, 2] {
            offer(&left, form);
            offer(&right, 3 - form);
        }
        assert_eq!(left.status().digest, right.status().digest);
        assert_eq!(left.find(&[b"k"])[0].as_ref().unwrap().form, 2);
    }

    #[test]
    fn what_is_quarantined_counts_in_the_digest_and_is_not_shown() {
        let (left, right) = (table(9), table(9));
        for table in [&left, &right] {
            let _ = table.keep_from_client(b"k", 0, b"1", b"old");
        }
        let before = left.status().digest;
        assert_eq!(left.quarantine(quarantined(b"2", b"new")), Kept::Applied(Reign(0)));
        assert_eq!(left.quarantine(quarantined(b"2", b"new")), Kept::Outranked);
        assert_eq!(shown(&left, b"k").unwrap(), b"old");
        assert_ne!(left.status().digest, before);
        let _ = right.keep_from_peer(b"k", Rank { reign: Reign(0), rank: b"2", record: b"new", form: 0 }, "Jaquez");
        assert_eq!(left.status().digest, right.status().digest, "a node that shows it holds the same");
        assert_eq!(left.keep_from_client(b"k", 0, b"1x", b"lower"), Kept::Outranked);
        assert_eq!(left.keep_from_client(b"k", 0, b"3", b"newer"), Kept::Applied(Reign(0)));
        assert_eq!((left.status().quarantined, shown(&left, b"k").unwrap()), (0, b"newer".to_vec()));
    }
}
