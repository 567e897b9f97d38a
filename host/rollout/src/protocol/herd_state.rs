//! The herd's generation: a record that every node holds, and which of them went back from it.
//!
//! Two standings that meet become one: the higher swap wins, and of the same swap the nodes that went back are those of
//! both. So it does not matter in what order, how often or by which way a node hears of one, and nodes that were cut off
//! from each other agree as soon as they are not.

use std::collections::BTreeMap;

use herd_model::Digest;
use serde::{Deserialize, Serialize};

/// A swap of the whole herd. The fields are in the order in which two swaps are compared: of two with the same number, made
/// in two halves of a herd that was cut, the greater digest wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HerdSwap {
    /// How many swaps and rollbacks of the whole herd there were, with this one.
    pub number: u64,
    /// The guest that the herd swapped to.
    pub digest: Digest,
    /// The guest before, which a rollback goes back to. None if the herd went back by itself: nobody returns to what failed.
    pub previous: Option<Digest>,
    /// Who asked for it.
    pub who: String,
}

/// What a node knows of the herd's generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HerdState {
    /// The last swap, if there was one.
    pub swap: Option<HerdSwap>,
    /// The nodes that went back from it or could not take it up, and why.
    #[serde(rename = "back")]
    pub rolled_back: BTreeMap<String, String>,
}

impl HerdState {
    /// The number of the last swap; 0 if there was none.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.swap.as_ref().map_or(0, |swap| swap.number)
    }

    /// Takes what another node knows. Whether that was news.
    pub(crate) fn merge(&mut self, other: Self) -> bool {
        match other.swap.cmp(&self.swap) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => {
                *self = other;
                true
            }
            std::cmp::Ordering::Equal => {
                let before = self.rolled_back.len();
                for (node, why) in other.rolled_back {
                    self.rolled_back.entry(node).or_insert(why);
                }
                self.rolled_back.len() > before
            }
        }
    }

    /// The swap with which the herd goes back, once half of its nodes have. Every node comes to the same one by itself.
    pub(crate) fn automatic_rollback(&self, nodes: usize) -> Option<HerdSwap> {
        let swap = self.swap.as_ref()?;
        let digest = swap.previous.filter(|_| self.rolled_back.len() * 2 >= nodes && !self.rolled_back.is_empty())?;
        Some(HerdSwap { number: swap.number.checked_add(1)?, digest, previous: None, who: THE_HERD.into() })
    }
}

/// Who asked when half of the nodes went back by themselves.
const THE_HERD: &str = "the herd itself";

/// A swap a second for ten days, while a node was away.
pub(crate) const NUMBERS_AHEAD_MAX: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(number: u64, guest: &str, previous: Option<&str>) -> HerdSwap {
        let digest = |guest: &str| Digest::of(guest.as_bytes());
        HerdSwap { number, digest: digest(guest), previous: previous.map(digest), who: "mira".into() }
    }

    fn herd_state(swap: HerdSwap, back: &[&str]) -> HerdState {
        let back = back.iter().map(|node| ((*node).into(), "trapped".into())).collect();
        HerdState { swap: Some(swap), rolled_back: back }
    }

    #[test]
    fn standings_meet_in_any_order_and_become_the_same() {
        let all = [
            HerdState::default(),
            herd_state(swap(1, "b", Some("a")), &["Riley"]),
            herd_state(swap(2, "c", Some("b")), &["Riley"]),
            herd_state(swap(2, "c", Some("b")), &["Juzang"]),
            herd_state(swap(2, "d", Some("b")), &["Jaquez"]),
        ];
        let winner = all[2].swap.clone().max(all[4].swap.clone());
        for first in 0..all.len() {
            let mut met = HerdState::default();
            for other in all.iter().cycle().skip(first).take(all.len()) {
                met.merge(other.clone());
            }
            assert_eq!(met.swap, winner);
            let wanted: &[&str] = if winner == all[4].swap { &["Jaquez"] } else { &["Juzang", "Riley"] };
            assert_eq!(met.rolled_back.keys().collect::<Vec<_>>(), wanted);
            assert!(all.iter().all(|other| !met.merge(other.clone())), "what is known is no news");
        }
    }

    #[test]
    fn the_herd_goes_back_when_half_of_it_has() {
        let one = herd_state(swap(7, "b", Some("a")), &["Riley"]);
        assert_eq!(one.automatic_rollback(3), None);
        let automatic_rollback = one.automatic_rollback(2).unwrap();
        assert_eq!(
            (automatic_rollback.number, automatic_rollback.digest, automatic_rollback.previous),
            (8, Digest::of(b"a"), None)
        );
        assert_eq!(
            herd_state(automatic_rollback, &["Riley", "Juzang"]).automatic_rollback(2),
            None,
            "there is no way back from the way back"
        );
    }
}
