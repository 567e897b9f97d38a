//! The herd's generation as a replicated record: the last swap, and the nodes that rolled back from it.
//!
//! Two states merge into one: the higher swap wins, and for the same swap the sets of rolled-back nodes are united. The merge
//! is commutative, associative and idempotent, so order, repetition and path of delivery do not matter, and the parts of a
//! partitioned herd agree as soon as they exchange states.
//!
//! Bounds: one entry per configured node; a peer's state is validated before it is merged.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use herd_model::Digest;
use serde::{Deserialize, Serialize};

use super::guest_store::FileDigests;

/// Committed swap of the whole herd.
///
/// The derived order is the conflict rule, so the order of the fields matters: the higher number wins, and of two swaps with
/// the same number, committed in two parts of a partitioned herd, the greater digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HerdSwap {
    /// Count of swaps and rollbacks of the whole herd, including this one.
    pub number: u64,
    /// Guest that the herd swapped to.
    pub digest: Digest,
    /// Guest before, to which a rollback returns. None after a rollback of the herd by itself: its previous guest failed.
    pub previous: Option<Digest>,
    /// Operator and coordinator of the swap.
    pub who: String,
    /// Identifier of the attempt that committed it; 0 if no node voted on its guest, as for a rollback.
    #[serde(default)]
    pub attempt: u64,
    /// True if the operator accepted that records go unread: a node that adopts it later accepts that too.
    #[serde(default)]
    pub force: bool,
    /// Digest of the transcripts that came beside the guest, for nodes that were absent.
    #[serde(default)]
    pub transcripts: Option<Digest>,
    /// Swaps after which operators discarded what was kept, the last ones, oldest first. Later swaps carry them along, for nodes that
    /// were away when they were undone.
    #[serde(default)]
    pub discards: Vec<SwapId>,
}

/// Identity of a swap. Two parts of a partitioned herd may count the same number for different guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SwapId {
    /// Number of the swap.
    pub number: u64,
    /// Guest that the herd swapped to.
    pub digest: Digest,
}

impl HerdSwap {
    /// Identity of the swap.
    #[must_use]
    pub fn id(&self) -> SwapId {
        SwapId { number: self.number, digest: self.digest }
    }

    /// True if this is the rollback with which an operator discarded records, not a later swap that carries that along.
    #[must_use]
    pub fn discards_records(&self) -> bool {
        self.discards.last().is_some_and(|undone| undone.number.checked_add(1) == Some(self.number))
    }

    /// True if the swap is a rollback of the herd, by an operator or by itself.
    pub(crate) fn is_rollback(&self) -> bool {
        self.attempt == 0
    }
}

/// State of the herd as one node knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HerdState {
    /// Last swap. None if the herd has never swapped.
    pub swap: Option<HerdSwap>,
    /// Nodes that rolled back from it or could not adopt it, with the reason.
    #[serde(rename = "back")]
    pub rolled_back: BTreeMap<String, String>,
    /// Signatures of the guests of the swap. Behind what earlier versions read, and not in the swap, which they pass on.
    #[serde(default)]
    pub signatures: SwapSignatures,
}

/// Digests of the signatures of the guests that a swap names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SwapSignatures {
    /// Those of the guest that the herd swapped to.
    pub swap: Option<Digest>,
    /// Those of the guest before, for nodes that lack it when the herd rolls back.
    pub previous: Option<Digest>,
}

impl HerdState {
    /// Number of the last swap; 0 if the herd has never swapped.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.swap.as_ref().map_or(0, |swap| swap.number)
    }

    /// Digests of the files of a swap: the last one, or the way back from it.
    pub(crate) fn files(&self, swap: &HerdSwap) -> FileDigests {
        let last = self.swap.as_ref();
        let signatures = match last {
            Some(last) if last.digest == swap.digest => self.signatures.swap,
            Some(last) if last.previous == Some(swap.digest) => self.signatures.previous,
            _ => None,
        };
        FileDigests { guest: swap.digest, transcripts: swap.transcripts, signatures }
    }

    /// Merges the state of another node. True if that changed this one.
    pub(crate) fn merge(&mut self, other: Self) -> bool {
        match other.swap.cmp(&self.swap) {
            // A coordinator commits a number above all that its participants know, so the higher swap is the later decision;
            // two parts of a partitioned herd need no more than a rule that both apply. Nothing lowers a number, which is
            // why a commit is undone by another swap only.
            Ordering::Less => false,
            Ordering::Greater => {
                // The set goes with its swap: a node that rolled back from an older guest has not judged this one.
                *self = other;
                true
            }
            Ordering::Equal => {
                // Only growth is a change, or two nodes would forward the same state to each other without end. The first
                // reason stays: a node rolls back from a swap once.
                let before = (self.rolled_back.len(), self.signatures);
                for (node, why) in other.rolled_back {
                    self.rolled_back.entry(node).or_insert(why);
                }
                // A node of an earlier version has passed the swap on without them.
                self.signatures.swap = self.signatures.swap.or(other.signatures.swap);
                self.signatures.previous = self.signatures.previous.or(other.signatures.previous);
                (self.rolled_back.len(), self.signatures) != before
            }
        }
    }

    /// State by which the herd rolls back, once half of its `nodes` have.
    pub(crate) fn automatic_rollback(&self, nodes: usize) -> Option<Self> {
        let swap = self.swap.as_ref()?;
        let digest = swap.previous.filter(|_| self.rolled_back.len() * 2 >= nodes && !self.rolled_back.is_empty())?;
        // A function of the state alone: every node computes the same swap, so no coordinator is needed. Without a previous
        // guest it is final, or the herd would alternate between two guests that both fail.
        let rollback = HerdSwap {
            number: swap.number.checked_add(1)?,
            digest,
            previous: None,
            who: THE_HERD.into(),
            attempt: 0,
            force: false,
            transcripts: None,
            discards: swap.discards.clone(),
        };
        let signatures = SwapSignatures { swap: self.signatures.previous, previous: None };
        Some(Self { swap: Some(rollback), rolled_back: BTreeMap::new(), signatures })
    }
}

/// Discarded swaps that the herd state carries along. A node that was away for longer than these does not forget what it kept after an
/// older one.
pub(crate) const DISCARDS_MAX: usize = 16;
/// Author of an automatic rollback. Part of the replicated record, so all nodes use the same text.
const THE_HERD: &str = "the herd itself";
/// Largest plausible lead of a peer's swap number: a swap per second for ten days, while this node was away.
pub(crate) const NUMBERS_AHEAD_MAX: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(number: u64, guest: &str, previous: Option<&str>) -> HerdSwap {
        let digest = |guest: &str| Digest::of(guest.as_bytes());
        HerdSwap {
            number,
            digest: digest(guest),
            previous: previous.map(digest),
            who: "mira".into(),
            attempt: 0,
            force: false,
            transcripts: None,
            discards: Vec::new(),
        }
    }

    fn herd_state(swap: HerdSwap, rolled_back: &[&str]) -> HerdState {
        let rolled_back = rolled_back.iter().map(|node| ((*node).into(), "trapped".into())).collect();
        HerdState { swap: Some(swap), rolled_back, ..HerdState::default() }
    }

    #[test]
    fn herd_states_merge_to_the_same_in_any_order() {
        let all = [
            HerdState::default(),
            herd_state(swap(1, "b", Some("a")), &["Riley"]),
            herd_state(swap(2, "c", Some("b")), &["Riley"]),
            herd_state(swap(2, "c", Some("b")), &["Juzang"]),
            herd_state(swap(2, "d", Some("b")), &["Jaquez"]),
        ];
        let winner = all[2].swap.clone().max(all[4].swap.clone());
        for first in 0..all.len() {
            let mut merged = HerdState::default();
            for other in all.iter().cycle().skip(first).take(all.len()) {
                merged.merge(other.clone());
            }
            assert_eq!(merged.swap, winner);
            let expected: &[&str] = if winner == all[4].swap { &["Jaquez"] } else { &["Juzang", "Riley"] };
            assert_eq!(merged.rolled_back.keys().collect::<Vec<_>>(), expected);
            assert!(
                all.iter().all(|other| !merged.merge(other.clone())),
                "a state that was merged before changes nothing"
            );
        }
    }

    /// Goal: signatures reach nodes behind one of a version that passes states on without them.
    #[test]
    fn herd_states_of_one_swap_merge_their_signatures() {
        let (mut without, mut with) =
            (herd_state(swap(1, "b", Some("a")), &[]), herd_state(swap(1, "b", Some("a")), &[]));
        with.signatures = SwapSignatures { swap: Some(Digest::of(b"by")), previous: Some(Digest::of(b"before")) };
        assert!(without.merge(with.clone()) && without == with);
        assert!(!without.merge(with.clone()) && !with.merge(herd_state(swap(1, "b", Some("a")), &[])));
        let next = herd_state(swap(2, "c", Some("b")), &[]);
        assert!(with.merge(next.clone()) && with == next, "of a later swap all is taken");
    }

    #[test]
    fn herd_state_knows_the_files_of_its_swap_and_of_the_way_back() {
        let mut state = herd_state(swap(2, "b", Some("a")), &["Riley"]);
        let (by, before) = (Digest::of(b"by"), Digest::of(b"before"));
        state.signatures = SwapSignatures { swap: Some(by), previous: Some(before) };
        assert_eq!(state.files(&swap(2, "b", None)).signatures, Some(by));
        assert_eq!(state.files(&swap(2, "a", None)).signatures, Some(before));
        assert_eq!(state.files(&swap(1, "c", None)).signatures, None);
        let back = state.automatic_rollback(2).unwrap().signatures;
        assert_eq!(back, SwapSignatures { swap: Some(before), previous: None });
    }

    #[test]
    fn herd_rolls_back_when_half_of_its_nodes_have() {
        let discards = vec![swap(5, "c", None).id()];
        let one = herd_state(HerdSwap { discards: discards.clone(), ..swap(7, "b", Some("a")) }, &["Riley"]);
        assert_eq!(one.automatic_rollback(3), None);
        let state = one.automatic_rollback(2).unwrap();
        let rollback = state.swap.unwrap();
        assert_eq!((rollback.number, rollback.digest, rollback.previous), (8, Digest::of(b"a"), None));
        assert_eq!(rollback.discards, discards, "for nodes that are away");
        assert_eq!(
            herd_state(rollback, &["Riley", "Juzang"]).automatic_rollback(2),
            None,
            "an automatic rollback is not rolled back"
        );
    }
}
