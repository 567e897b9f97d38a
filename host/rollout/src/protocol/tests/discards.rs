//! Rollbacks that discard records: which nodes forget what they kept after which swap, and when.

use std::time::Duration;

use herd_model::RollbackOptions;

use super::net::{NAMES, Net, guest};
use crate::protocol::herd_state::{DISCARDS_MAX, HerdState, HerdSwap, SwapId};
use crate::protocol::message::Message;
use crate::protocol::outcome::{NodeOutcome, NotSwapped, Outcome};

const DISCARD: RollbackOptions = RollbackOptions { discard_records: true };

fn id(number: u64, what: &str) -> SwapId {
    SwapId { number, digest: guest(what) }
}

/// Records that nodes forgot, by the names of those that said so.
fn discarded(outcome: &Outcome) -> Vec<(&str, Option<u64>)> {
    let said = outcome.nodes.iter().filter_map(|(node, outcome)| match outcome {
        NodeOutcome::Serving { discarded, .. } => Some((node.as_str(), *discarded)),
        _ => None,
    });
    said.collect()
}

/// Goal: a node forgets once what it kept after a swap that was undone, whenever it hears of that. Method: node B is away during the swap
/// and the rollback, node C during the rollback and the swap after it.
#[test]
fn discarding_rollback_reaches_nodes_that_were_away() {
    let mut net = Net::new();
    net.kill("B");
    net.propose("A", "new");
    net.pass(Duration::from_secs(2));
    net.answer("A").unwrap();
    net.kill("C");
    net.roll_back_with("A", DISCARD);
    net.pass(Duration::from_secs(2));
    let outcome = net.answer("A").unwrap();
    assert_eq!(discarded(&outcome), [("A", Some(1)), ("D", Some(1)), ("E", Some(1))]);
    assert_eq!((&outcome.nodes["C"], outcome.swap.discards), (&NodeOutcome::Absent, vec![id(1, "new")]));
    net.restart("B");
    net.settle();
    assert!(net.nodes["B"].discarded.is_empty(), "it never served the guest");
    net.propose("D", "newest");
    net.pass(Duration::from_secs(2));
    let outcome = net.answer("D").unwrap();
    assert!(discarded(&outcome).into_iter().all(|(_, discarded)| discarded.is_none()), "{outcome:?}");
    net.restart("C");
    net.settle();
    assert_eq!(net.nodes["C"].discarded, [id(1, "new")], "behind a later swap");
    assert_eq!(net.serving(), [guest("newest"); 5]);
    net.assert_at_rest();
}

#[test]
fn rollback_discards_nothing_unless_told_to() {
    let mut net = Net::new();
    net.swap("A", "new");
    net.roll_back("A");
    net.settle();
    let outcome = net.answer("A").unwrap();
    assert!(outcome.swap.discards.is_empty() && discarded(&outcome).into_iter().all(|(_, count)| count.is_none()));
    assert!(net.nodes.values().all(|node| node.discarded.is_empty()));
}

/// A second rollback would serve again what its operator wants to be rid of, and forget what the good guest kept.
#[test]
fn discarding_rollback_is_refused_after_a_rollback() {
    let mut net = Net::new();
    net.roll_back_with("A", DISCARD);
    net.settle();
    assert_eq!(net.answer("A"), Err(NotSwapped::NoPrevious));
    for options in [RollbackOptions::default(), DISCARD] {
        net.swap("A", "new");
        net.roll_back_with("B", options);
        net.settle();
        net.answer("B").unwrap();
        net.roll_back_with("C", DISCARD);
        net.settle();
        assert_eq!(net.answer("C"), Err(NotSwapped::NothingToDiscard));
        assert_eq!(net.serving(), [guest("old"); 5]);
    }
    let once: Vec<_> = net.nodes.values().map(|node| node.discarded.clone()).collect();
    assert_eq!(once, vec![vec![id(3, "new")]; 5], "the second swap alone");
    net.assert_at_rest();
}

#[test]
fn discarded_swaps_that_are_carried_along_are_bounded() {
    let mut net = Net::new();
    for _ in 0..DISCARDS_MAX + 2 {
        net.swap("A", "new");
        net.roll_back_with("A", DISCARD);
        net.settle();
        net.answer("A").unwrap();
    }
    let discards = |net: &Net, name| net.nodes[name].participant.herd_state.swap.clone().unwrap().discards;
    let last = discards(&net, "A");
    assert_eq!((last.len(), last[0], *last.last().unwrap()), (DISCARDS_MAX, id(5, "new"), id(35, "new")));
    let swap = net.node("A").participant.herd_state.swap.clone().unwrap();
    let many = HerdSwap { number: swap.number + 1, discards: vec![id(1, "new"); 1000], ..swap };
    let now = net.now;
    let from_a_peer = Message::HerdState(HerdState { swap: Some(many), ..HerdState::default() });
    net.node("B").participant.receive("A", from_a_peer, now);
    net.settle();
    assert!(NAMES.into_iter().all(|name| discards(&net, name).len() == DISCARDS_MAX));
}
