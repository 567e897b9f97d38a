//! Shard of a record table: the records of some of the keys, behind one lock.
//!
//! Owns the comparison that decides which record a key keeps. Knows nothing of hashing, of other shards and of locks;
//! the table passes the hash of each key. Bounds: those of [`Usage`].

use std::collections::BTreeMap;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry::{Occupied, Vacant};
use herd_model::Kept;

use crate::entry::Entry;
use crate::form_counts::FormCounts;
use crate::origins::OriginId;
use crate::quarantined::Quarantined;
use crate::rank::Rank;
use crate::usage::Usage;

/// Records of some of the keys.
#[derive(Default)]
pub(super) struct Shard {
    /// Records that guests may read, one per key.
    visible: HashTable<Entry>,
    /// Quarantined reports by key. Each one ranks higher than the visible record of its key, if there is one. Rare, so
    /// an entry has no room for it; ordered, so that the order in which they are offered again needs no hash key.
    quarantined: BTreeMap<Vec<u8>, Quarantined>,
    /// Visible records by form.
    forms: FormCounts,
}

/// A record that is offered to a shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) key: &'a [u8],
    pub(super) rank: Rank<'a>,
    pub(super) by: OfferedBy,
}

/// Source of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferedBy {
    /// A client of this node. The limits apply, and the record inherits the reign of its key.
    Client,
    /// A peer. The node of this number accepted the record from a client.
    Peer(OriginId),
}

impl Shard {
    /// Keeps a record if it wins. `rehash` returns the hash of a key, for when the shard grows.
    pub(super) fn offer(&mut self, hash: u64, offer: Offer<'_>, usage: &Usage, rehash: impl Fn(&[u8]) -> u64) -> Kept {
        let Offer { key, rank, by } = offer;
        // Usually nothing is quarantined, and then no key has to be compared.
        let above = if self.quarantined.is_empty() { None } else { self.quarantined.get(key).map(Quarantined::rank) };
        let was_quarantined = above.is_some();
        let bytes = key.len() + rank.rank.len() + rank.record.len();
        let reign = match self.visible.entry(hash, |entry| entry.key() == key, |entry| rehash(entry.key())) {
            Occupied(mut slot) => {
                let highest = above.unwrap_or_else(|| slot.get().rank());
                let rank = by.inherit_reign(rank, highest);
                // Equal is a duplicate: calling it outranked is what ends a flood.
                if highest >= rank {
                    return Kept::Outranked;
                }
                let (old, old_form) = (slot.get().len(), slot.get().rank().form);
                if by == OfferedBy::Client && !usage.fits(0, bytes.saturating_sub(old)) {
                    return Kept::NoRoom;
                }
                slot.get_mut().replace(key, rank, by.origin());
                usage.resize(old, bytes);
                self.forms.change(old_form, rank.form);
                rank.reign
            }
            Vacant(slot) => {
                let rank = above.map_or(rank, |highest| by.inherit_reign(rank, highest));
                if above.is_some_and(|highest| highest >= rank) {
                    return Kept::Outranked;
                }
                if by == OfferedBy::Client && !usage.fits(1, bytes) {
                    return Kept::NoRoom;
                }
                slot.insert(Entry::new(key, rank, by.origin()));
                usage.add(bytes);
                self.forms.add(rank.form);
                rank.reign
            }
        };
        // The record won against the quarantined report too, which has no say any more.
        if was_quarantined {
            self.quarantined.remove(key);
        }
        Kept::Applied(reign)
    }

    /// Quarantines a report if it wins. The visible record of its key stays readable.
    pub(super) fn quarantine(&mut self, hash: u64, report: Quarantined) -> Kept {
        if self.highest(hash, &report.key).is_some_and(|highest| highest >= report.rank()) {
            return Kept::Outranked;
        }
        let reign = report.reign;
        self.quarantined.insert(report.key.clone(), report);
        Kept::Applied(reign)
    }

    /// Removes the quarantined reports and returns them.
    pub(super) fn take_quarantined(&mut self) -> impl Iterator<Item = Quarantined> + use<> {
        std::mem::take(&mut self.quarantined).into_values()
    }

    /// Prefetches the entry of a key.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        // Accepts the first entry whose hash tag matches: comparing keys would wait for the very memory to prefetch.
        let _ = self.visible.find(hash, |entry| {
            entry.prefetch();
            true
        });
    }

    /// Returns the visible record of a key.
    #[inline]
    pub(super) fn get(&self, hash: u64, key: &[u8]) -> Option<Rank<'_>> {
        self.visible.find(hash, |entry| entry.key() == key).map(Entry::rank)
    }

    /// Returns the highest rank under a key, visible or quarantined.
    #[inline]
    pub(super) fn highest(&self, hash: u64, key: &[u8]) -> Option<Rank<'_>> {
        let quarantined = if self.quarantined.is_empty() { None } else { self.quarantined.get(key) };
        quarantined.map(Quarantined::rank).or_else(|| self.get(hash, key))
    }

    /// Returns the visible records that no quarantined report outranks. With [`quarantined`](Self::quarantined) they
    /// are what the node has kept under each key, and what its peers keep.
    pub(super) fn winners(&self) -> impl Iterator<Item = &Entry> {
        self.visible.iter().filter(|entry| !self.quarantined.contains_key(entry.key()))
    }

    /// Returns the number of visible records of each form.
    pub(super) fn forms(&self) -> impl Iterator<Item = (u32, usize)> {
        self.forms.iter()
    }

    /// Returns the quarantined reports.
    pub(super) fn quarantined(&self) -> impl ExactSizeIterator<Item = &Quarantined> {
        self.quarantined.values()
    }
}

impl OfferedBy {
    fn origin(self) -> OriginId {
        match self {
            Self::Client => OriginId::SELF,
            Self::Peer(origin) => origin,
        }
    }

    /// Returns the rank to compare. A guest never sees a reign, so a client's record gets that of its key.
    fn inherit_reign<'a>(self, rank: Rank<'a>, highest: Rank<'_>) -> Rank<'a> {
        match self {
            Self::Client => Rank { reign: highest.reign, ..rank },
            Self::Peer(_) => rank,
        }
    }
}
