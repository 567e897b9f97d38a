//! Signatures beside guests, and nodes that require them.

use std::time::Duration;

use super::net::{Net, guest};
use crate::protocol::outcome::NotSwapped;

/// Goal: signatures reach a node that was away, also those of the guest to which the herd rolls back. Method: node D is away while the herd
/// swaps to `new`, adopts `newer`, and has to fetch `new` with its signatures for the rollback.
#[test]
fn herd_swap_brings_signatures_to_nodes_that_were_away_and_for_the_way_back() {
    let mut net = Net::new();
    net.node("D").requires_signature = true;
    net.kill("D");
    net.propose_signed("A", "new", "by mira");
    net.pass(Duration::from_secs(2));
    assert_eq!(net.answer("A").unwrap().swap.digest, guest("new"));
    for name in ["A", "B", "C", "E"] {
        assert_eq!(net.node(name).signatures, Some(guest("by mira")), "{name}");
    }
    net.propose_signed("B", "newer", "by ada");
    net.pass(Duration::from_secs(2));
    assert_eq!(net.answer("B").unwrap().swap.digest, guest("newer"));
    net.restart("D");
    net.settle();
    net.pass(Duration::from_secs(6));
    assert_eq!((net.serving(), net.node("D").signatures), (vec![guest("newer"); 5], Some(guest("by ada"))));
    net.roll_back("C");
    net.settle();
    net.pass(Duration::from_secs(6));
    assert_eq!((net.serving(), net.node("D").signatures), (vec![guest("new"); 5], Some(guest("by mira"))));
    net.assert_at_rest();
}

#[test]
fn herd_swap_is_refused_by_the_one_node_that_requires_signatures() {
    let mut net = Net::new();
    net.node("C").requires_signature = true;
    net.propose("A", "new");
    net.settle();
    let Err(NotSwapped::Refused(refused)) = net.answer("A") else { panic!("it was not refused") };
    assert_eq!(refused.into_iter().collect::<Vec<_>>(), [("C".into(), "not parsed: it is not signed".into())]);
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.propose_signed("A", "new", "by mira");
    net.settle();
    assert!(net.answer("A").is_ok());
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

/// A node whose previous generation is the guest without signatures goes back to it: it runs there already.
#[test]
fn node_that_was_away_refuses_an_unsigned_guest_and_the_others_serve_it() {
    let mut net = Net::new();
    net.node("D").requires_signature = true;
    net.kill("D");
    net.propose("A", "new");
    net.pass(Duration::from_secs(2));
    assert!(net.answer("A").is_ok());
    net.restart("D");
    net.settle();
    net.pass(Duration::from_secs(6));
    assert_eq!(net.node("D").participant.serving, guest("old"));
    let back = &net.node("A").participant.herd_state.rolled_back;
    assert_eq!(back.get("D").map(String::as_str), Some("not parsed: it is not signed"));
}

/// The guest without signatures of the time before the requirement serves on the nodes, and they return to it.
#[test]
fn herd_rolls_back_to_the_previous_generation_without_signatures() {
    let mut net = Net::new();
    for name in ["A", "B", "C", "D", "E"] {
        net.node(name).requires_signature = true;
    }
    net.propose_signed("A", "new", "by mira");
    net.settle();
    assert!(net.answer("A").is_ok());
    net.roll_back("B");
    net.settle();
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.assert_at_rest();
}
