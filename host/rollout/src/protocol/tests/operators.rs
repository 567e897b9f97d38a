//! Sequences of commands of operators, with faults, deaths and partitions in between.
//!
//! Goal: whatever was done to a herd, one command brings every node to one named guest. Method: random sequences on the virtual
//! herd, after which every node runs and every link is up, and then `herd swap --built-in --force`.

use std::time::Duration;

use herd_model::{Digest, RollbackOptions, SwapOptions};
use proptest::prelude::*;

use super::net::{NAMES, Net, RING, guest};
use crate::protocol::outcome::NodeOutcome;

/// Step of a sequence. Numbers stand for a node, a link or a guest.
#[derive(Clone, Debug)]
enum Step {
    HerdSwap(usize, usize, SwapOptions),
    HerdRollback(usize, RollbackOptions),
    NodeSwap(usize, usize, SwapOptions),
    NodeRollback(usize),
    Fault(usize),
    Slow(usize, bool),
    Kill(usize),
    Restart(usize),
    Cut(usize),
    Link(usize),
    Pass(u64),
}

/// Guests by the form that they write, 1 to 3. The configured one is the first.
const GUESTS: [&str; 4] = ["old", "rebuilt", "second", "third"];

/// Form of a guest, and the forms that it can read. The guest of the second form upgrades the first; that of the third reads
/// its own only.
fn forms(digest: Digest) -> (u8, &'static [u8]) {
    match GUESTS.iter().position(|name| guest(name) == digest) {
        Some(2) => (2, &[1, 2]),
        Some(3) => (3, &[3]),
        _ => (1, &[1]),
    }
}

fn reads(candidate: Digest, active: Digest) -> bool {
    forms(candidate).1.contains(&forms(active).0)
}

fn options() -> impl Strategy<Value = SwapOptions> {
    any::<[bool; 3]>().prop_map(|[again, unrehearsed, force]| SwapOptions {
        again,
        unrehearsed,
        reversible: false,
        force,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NAMES.len();
    let what = 0..GUESTS.len();
    prop_oneof![
        4 => (node.clone(), what.clone(), options()).prop_map(|(node, what, options)| Step::HerdSwap(node, what, options)),
        2 => (node.clone(), any::<bool>()).prop_map(|(node, discard_records)| Step::HerdRollback(node, RollbackOptions { discard_records })),
        3 => (node.clone(), what, options()).prop_map(|(node, what, options)| Step::NodeSwap(node, what, options)),
        2 => node.clone().prop_map(Step::NodeRollback),
        3 => node.clone().prop_map(Step::Fault),
        2 => (node.clone(), any::<bool>()).prop_map(|(node, slow)| Step::Slow(node, slow)),
        1 => node.clone().prop_map(Step::Kill),
        2 => node.clone().prop_map(Step::Restart),
        1 => node.clone().prop_map(Step::Cut),
        2 => node.prop_map(Step::Link),
        4 => (0_u64..7_000).prop_map(Step::Pass),
    ]
}

fn take(net: &mut Net, step: Step) {
    let now = net.now;
    match step {
        Step::HerdSwap(node, what, options) if net.nodes[NAMES[node]].alive => {
            net.propose_with(NAMES[node], GUESTS[what], options);
        }
        Step::HerdRollback(node, options) if net.nodes[NAMES[node]].alive => net.roll_back_with(NAMES[node], options),
        Step::NodeSwap(node, what, options) if net.nodes[NAMES[node]].alive => {
            net.node(NAMES[node]).swap_alone(GUESTS[what], options);
        }
        Step::NodeRollback(node) if net.nodes[NAMES[node]].alive => net.node(NAMES[node]).roll_back_alone(),
        Step::Fault(node) if net.nodes[NAMES[node]].alive => net.node(NAMES[node]).fault(now),
        Step::Slow(node, slow) => {
            let node = net.node(NAMES[node]);
            node.slow = slow;
            if !slow && node.alive {
                node.prepare(now);
            }
        }
        Step::Kill(node) => net.kill(NAMES[node]),
        Step::Restart(node) if !net.nodes[NAMES[node]].alive => net.restart(NAMES[node]),
        Step::Cut(link) => net.cut(RING[link].0, RING[link].1),
        Step::Link(link) if net.nodes[RING[link].0].alive && net.nodes[RING[link].1].alive => {
            net.link(RING[link].0, RING[link].1);
        }
        Step::Pass(millis) => return net.pass(Duration::from_millis(millis)),
        _ => return,
    }
    net.settle();
}

fn heal(net: &mut Net) {
    for node in 0..NAMES.len() {
        take(net, Step::Slow(node, false));
        take(net, Step::Restart(node));
    }
    (0..RING.len()).for_each(|link| take(net, Step::Link(link)));
    // Longer than every deadline of a proposal that is under way.
    net.pass(Duration::from_secs(30));
    net.nodes.values_mut().for_each(|node| node.answers.clear());
}

fn herd() -> Net {
    let mut net = Net::new();
    net.nodes.values_mut().for_each(|node| node.reads = reads);
    net
}

proptest! {
    #[test]
    fn one_command_brings_every_node_to_one_guest(
        steps in proptest::collection::vec(step(), 0..25),
        coordinator in 0..NAMES.len(),
        what in 0..GUESTS.len(),
    ) {
        let mut net = herd();
        steps.into_iter().for_each(|step| take(&mut net, step));
        heal(&mut net);
        let force = SwapOptions { force: true, ..SwapOptions::default() };
        net.propose_with(NAMES[coordinator], GUESTS[what], force);
        net.pass(Duration::from_secs(12));
        let outcome = net.answer(NAMES[coordinator]);
        prop_assert!(
            matches!(&outcome, Ok(outcome) if outcome.nodes.values().all(|node| matches!(node, NodeOutcome::Serving { .. }))),
            "{outcome:?}"
        );
        prop_assert_eq!(net.serving(), vec![guest(GUESTS[what]); 5]);
        net.assert_at_rest();
        // Whatever came in between, every node has discarded what operators wanted to be discarded, and nothing else.
        for (name, node) in &net.nodes {
            let wanted = &node.participant.herd_state.swap.as_ref().unwrap().discards;
            let kept = wanted.iter().find(|undone| node.activated.contains(undone) && !node.discarded.contains(undone));
            prop_assert_eq!(kept, None, "{} has not discarded it", name);
            prop_assert!(node.discarded.iter().all(|undone| node.activated.contains(undone)), "{}", name);
        }
    }
}

/// The case of an operator: one node was swapped alone to a guest of the second form, and the herd rolled back to the first.
#[test]
fn node_that_a_rollback_left_behind_is_brought_along_by_force() {
    let mut net = herd();
    net.swap("A", "second");
    // Another build of the second guest, with transcripts of its own.
    net.node("B").reads = |candidate, active| candidate == active || forms(candidate).0 != 1;
    assert!(net.node("B").swap_alone("third", SwapOptions::default()));
    net.roll_back("A");
    net.settle();
    let outcome = net.answer("A").unwrap();
    assert!(
        matches!(&outcome.nodes["B"], NodeOutcome::RolledBack(why) if why.starts_with("not checked")),
        "{outcome:?}"
    );
    assert_eq!(net.node("B").participant.serving, guest("third"));
    net.kill("B");
    net.restart("B");
    net.settle();
    assert!(net.node("B").failed.is_empty(), "what a node could not adopt did not fail its probation");
    net.propose("A", "old");
    net.settle();
    net.pass(Duration::from_secs(2));
    assert!(net.answer("A").is_err(), "it is refused where records would go unread");
    net.propose_with("A", "old", SwapOptions { force: true, ..SwapOptions::default() });
    net.settle();
    net.answer("A").unwrap();
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.assert_at_rest();
}

/// Goal: an absent node accepts what the operator accepted. Method: node D is down while the herd is forced to a guest that does
/// not read the records of D.
#[test]
fn absent_node_is_brought_along_by_force() {
    let mut net = herd();
    net.swap("A", "second");
    net.kill("D");
    net.propose_with("A", "old", SwapOptions { force: true, ..SwapOptions::default() });
    net.pass(Duration::from_secs(2));
    net.answer("A").unwrap();
    // Its previous generation would serve without a check.
    net.node("D").previous = None;
    net.restart("D");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.serving(), [guest("old"); 5]);
}

#[test]
fn first_swap_of_the_herd_is_undone_to_the_configured_guest() {
    let mut net = herd();
    assert!(net.node("A").swap_alone("rebuilt", SwapOptions::default()));
    net.swap("A", "new");
    net.roll_back("C");
    net.settle();
    assert_eq!(net.serving(), [guest("old"); 5], "not to what the coordinator alone served");
}

/// Goal: the end of a superseded proposal takes no candidate from an adoption. Method: two swaps to one guest, which begin in two
/// parts of a herd that becomes whole before either commits. The virtual herd checks that an aborted candidate is there.
#[test]
fn superseded_proposal_of_the_same_guest_leaves_the_candidate_to_the_adoption() {
    let mut net = herd();
    ["B", "E"].into_iter().for_each(|name| net.kill(name));
    for coordinator in ["A", "C"] {
        net.propose(coordinator, "second");
        net.settle();
    }
    heal(&mut net);
    assert_eq!(net.serving(), [guest("second"); 5]);
    net.assert_at_rest();
}

/// Goal: a node whose neighbours all refuse a guest gets it from them all the same, and judges it. Method: node D swaps alone to a guest
/// that the others cannot serve; C and E are between it and the rest of the ring.
#[test]
fn guest_that_neighbours_refuse_reaches_the_nodes_behind_them() {
    let mut net = herd();
    let off = SwapOptions::default();
    // Without the others a swap commits once they have had a second to enlist.
    [Step::Cut(2), Step::Cut(3), Step::HerdSwap(0, 2, off), Step::HerdSwap(3, 0, off), Step::Pass(1_500)]
        .into_iter()
        .chain([Step::HerdSwap(3, 1, off), Step::Pass(1_500)])
        .for_each(|step| take(&mut net, step));
    assert_eq!(net.serving(), ["second", "second", "second", "rebuilt", "second"].map(guest));
    // The nodes behind them are back long after they have refused it.
    [Step::Cut(1), Step::Cut(4), Step::Link(2), Step::Link(3), Step::Pass(20_000)]
        .into_iter()
        .for_each(|step| take(&mut net, step));
    heal(&mut net);
    net.assert_at_rest();
    assert_eq!(net.serving(), [guest("old"); 5], "more than half have refused it, and the herd is back");
}
