//! Whole herds of members on virtual time: what each says is carried by hand, so cuts, deaths and delays happen where a test
//! wants them.

mod net;

use std::time::Duration;

use self::net::{CANDIDATE_MAX, NAMES, Net, guest};
use super::herd_state::{HerdState, HerdSwap};
use super::message::{Broadcast, Message, Vote};
use super::outcome::{NodeOutcome, NotSwapped};

#[test]
fn a_guest_comes_to_every_node_whoever_is_asked() {
    let mut net = Net::new();
    net.propose("C", "new");
    net.settle();
    let outcome = net.answer("C").unwrap();
    assert_eq!((outcome.swap.number, outcome.swap.previous), (1, Some(guest("old"))));
    assert!(
        outcome.nodes.values().all(|node| matches!(node, NodeOutcome::Serving { generation: 2, .. })),
        "{outcome:?}"
    );
    assert_eq!(net.serving(), [guest("new"); 5]);
    let fetched: Vec<usize> = net.nodes.values().map(|node| node.fetched).collect();
    assert!(
        fetched[2] == 0 && [0, 1, 3, 4].iter().all(|&node| fetched[node] >= 4),
        "in parts, over the links: {fetched:?}"
    );
    net.assert_at_rest();
    net.roll_back("A");
    net.settle();
    assert_eq!(net.answer("A").unwrap().swap.number, 2);
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.roll_back("B");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5], "a second rollback undoes the first");
    net.assert_at_rest();
}

#[test]
fn one_node_that_refuses_leaves_every_node_on_the_old_one() {
    let mut net = Net::new();
    net.node("D").refuses.insert(guest("new"), "not checked: no room");
    net.propose("A", "new");
    net.settle();
    net.pass(Duration::from_secs(2));
    let refused = net.answer("A").unwrap_err();
    assert_eq!(refused.to_string(), "D: not checked: no room");
    assert_eq!(net.serving(), [guest("old"); 5]);
    assert!(net.node("B").forgotten[0].contains("D refused: not checked: no room"));
    net.assert_at_rest();
}

#[test]
fn a_node_that_is_away_is_named_and_takes_it_up_when_it_is_back() {
    let mut net = Net::new();
    net.kill("D");
    net.propose("A", "new");
    net.pass(Duration::from_secs(2));
    let outcome = net.answer("A").unwrap();
    assert_eq!(outcome.nodes["D"], NodeOutcome::Absent);
    net.start_again("D");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn of_two_operators_at_once_one_is_first_and_the_other_is_told_what_serves_now() {
    let mut net = Net::new();
    net.propose("A", "new");
    net.propose("C", "other");
    net.settle();
    net.pass(Duration::from_secs(6));
    let answers = [net.answer("A"), net.answer("C")];
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let (won, lost) = (won[0].as_ref().unwrap(), lost[0].as_ref().unwrap_err());
    assert!(
        matches!(lost, NotSwapped::Superseded { number: 1, digest, .. } if *digest == won.swap.digest.short()),
        "{lost:?}"
    );
    assert_eq!(net.serving(), [won.swap.digest; 5]);
    net.assert_at_rest();
}

#[test]
fn an_asking_node_that_dies_before_it_commits_changes_nothing_and_its_candidates_go() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.propose("A", "new");
    net.settle();
    assert_eq!(net.node("B").candidate, Some(guest("new")), "the others are ready");
    net.kill("A");
    net.pass(Duration::from_secs(1));
    let now = net.now;
    net.node("D").prepare(now);
    net.pass(CANDIDATE_MAX + Duration::from_secs(1));
    assert!(net.node("B").forgotten[0].contains("nothing was heard of the node that asked for 30 s"));
    net.assert_at_rest();
    net.start_again("A");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.node("D").slow = false;
    net.propose("B", "new");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5], "and nothing is in the way of the next swap");
}

#[test]
fn a_commit_that_one_neighbour_heard_is_the_herds_even_if_the_asking_node_dies() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.propose("A", "new");
    net.settle();
    let now = net.now;
    net.node("D").prepare(now);
    // Step by step, up to the moment at which the asking node has said it to one of its neighbours.
    let committed = |message: &Message| matches!(message, Message::HerdState(herd_state) if herd_state.number() == 1);
    while !net.carried.iter().any(|(from, _, message)| *from == "A" && committed(message)) {
        NAMES.into_iter().for_each(|name| net.perform(name));
        if !net.carried.iter().any(|(from, _, message)| *from == "A" && committed(message)) {
            let (from, to, message) = net.carried.pop_front().unwrap();
            net.node(to).participant.receive(from, message, now);
        }
    }
    net.carried.retain(|(from, to, message)| *from != "A" || (*to == "E" && committed(message)));
    let heard = net.carried.clone();
    net.kill("A");
    net.carried = heard;
    net.settle();
    assert_eq!(net.serving()[1..], [guest("new"); 4]);
    net.start_again("A");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn halves_of_a_herd_that_was_cut_agree_when_it_is_whole() {
    for more_on_the_left in [false, true] {
        let mut net = Net::new();
        net.cut("B", "C");
        net.cut("A", "E");
        net.propose("A", "left");
        net.propose("D", "right");
        net.pass(Duration::from_secs(2));
        let (left, right) = (net.answer("A").unwrap(), net.answer("D").unwrap());
        assert_eq!((left.swap.number, right.swap.number), (1, 1));
        assert_eq!(left.nodes["C"], NodeOutcome::Absent);
        assert_eq!(right.nodes["B"], NodeOutcome::Absent);
        if more_on_the_left {
            net.propose("B", "newest");
            net.pass(Duration::from_secs(2));
            net.answer("B").unwrap();
        }
        net.link("B", "C");
        net.settle();
        let wins = if more_on_the_left { guest("newest") } else { guest("left").max(guest("right")) };
        assert_eq!(net.serving(), [wins; 5], "the higher number, and then the greater digest");
        net.assert_at_rest();
    }
}

#[test]
fn a_node_that_went_back_stays_back_and_half_of_them_take_the_herd_along() {
    let mut net = Net::new();
    net.swap("A", "new");
    let go_back = |net: &mut Net, name| {
        let now = net.now;
        net.node(name).participant.rolled_back(guest("new"), guest("old"), "8 faults within 10 s".into(), now);
        net.pass(Duration::from_secs(6));
    };
    go_back(&mut net, "B");
    go_back(&mut net, "D");
    let (old, new) = (guest("old"), guest("new"));
    assert_eq!(net.serving(), [new, old, new, old, new]);
    net.kill("B");
    net.start_again("B");
    net.pass(Duration::from_secs(6));
    assert_eq!(net.serving(), [new, old, new, old, new], "also over a restart");
    net.kill("B");
    net.node("B").participant.serving = new;
    net.node("B").participant.herd_state.rolled_back.clear();
    net.start_again("B");
    net.pass(Duration::from_secs(6));
    assert_eq!(net.serving(), [new, old, new, old, new], "also if it had not written that down");
    assert_eq!(net.node("E").participant.herd_state.rolled_back.keys().collect::<Vec<_>>(), ["B", "D"]);
    go_back(&mut net, "E");
    assert_eq!(net.serving(), [old; 5]);
    assert_eq!(net.node("A").participant.herd_state.number(), 2);
    net.roll_back("A");
    net.settle();
    assert_eq!(net.answer("A").unwrap_err(), NotSwapped::RolledBackItself);
    net.assert_at_rest();
}

#[test]
fn a_node_that_cannot_take_up_what_the_herd_has_says_so_and_serves_what_it_did() {
    let mut net = Net::new();
    net.kill("D");
    net.node("D").refuses.insert(guest("new"), "not checked: another version");
    net.propose("A", "new");
    net.pass(Duration::from_secs(2));
    net.start_again("D");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.node("D").participant.serving, guest("old"));
    assert_eq!(net.node("A").participant.herd_state.rolled_back["D"], "not checked: another version");
    net.assert_at_rest();
}

#[test]
fn a_node_that_falls_silent_while_it_prepares_is_absent_and_not_in_the_way() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.propose("A", "new");
    net.pass(Duration::from_secs(20));
    assert!(net.node("A").answers.is_empty(), "who prepares and says so is waited for");
    net.kill("D");
    net.pass(Duration::from_secs(6));
    assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Absent);
    assert_eq!(net.serving(), [guest("new"), guest("new"), guest("new"), guest("old"), guest("new")]);
    net.assert_at_rest();
}

#[test]
fn what_one_node_serves_by_its_own_operators_word_stays_until_the_herd_swaps() {
    let mut net = Net::new();
    net.swap("A", "new");
    net.node("C").participant.serving_changed(guest("own"));
    net.pass(Duration::from_secs(10));
    assert_eq!(net.node("C").participant.serving, guest("own"));
    net.propose("A", "newer");
    net.settle();
    assert_eq!(net.serving(), [guest("newer"); 5]);
}

#[test]
fn a_guest_that_faults_before_it_is_known_to_serve_has_gone_back_too() {
    let mut net = Net::new();
    NAMES.iter().for_each(|name| net.node(name).faults_at_once = Some(guest("old")));
    net.propose("A", "new");
    net.pass(Duration::from_secs(2));
    assert!(matches!(net.answer("A").unwrap().nodes["A"], NodeOutcome::RolledBack(_)));
    assert_eq!(net.serving(), [guest("old"); 5]);
    let herd_state = &net.node("C").participant.herd_state;
    assert_eq!(
        (herd_state.number(), herd_state.swap.as_ref().unwrap().digest),
        (2, guest("old")),
        "half of them took it back"
    );
    net.assert_at_rest();
}

#[test]
fn what_the_herd_swaps_to_while_a_node_makes_it_ready_is_taken_up_when_it_is() {
    for refuses in [false, true] {
        let mut net = Net::new();
        net.node("D").slow = true;
        net.propose("A", "new");
        net.settle();
        net.cut_off("D");
        net.pass(Duration::from_secs(7));
        assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Absent);
        net.link("C", "D");
        net.settle();
        if refuses {
            net.node("D").refuses.insert(guest("new"), "not checked: no room");
        }
        let now = net.now;
        net.node("D").prepare(now);
        net.pass(Duration::from_secs(2));
        let wanted = if refuses { guest("old") } else { guest("new") };
        assert_eq!(net.node("D").participant.serving, wanted);
        assert_eq!(net.node("A").participant.herd_state.rolled_back.contains_key("D"), refuses);
        net.assert_at_rest();
    }
}

#[test]
fn a_node_that_comes_up_while_others_make_ready_hears_what() {
    let mut net = Net::new();
    net.kill("B");
    net.node("D").slow = true;
    net.propose("A", "new");
    net.pass(Duration::from_secs(3));
    net.start_again("B");
    net.pass(Duration::from_secs(3));
    assert_eq!(net.node("B").candidate, Some(guest("new")));
    let now = net.now;
    net.node("D").prepare(now);
    net.pass(Duration::from_secs(1));
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn what_cannot_be_taken_up_now_is_taken_up_later() {
    let mut net = Net::new();
    net.node("D").busy = true;
    net.propose("A", "new");
    net.pass(Duration::from_secs(12));
    assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Pending);
    net.node("D").busy = false;
    net.pass(Duration::from_secs(2));
    assert_eq!(net.serving(), [guest("new"); 5]);
    assert!(net.node("A").participant.herd_state.rolled_back.is_empty());
}

#[test]
fn an_operator_may_insist_on_one_node_on_what_that_went_back_from() {
    let mut net = Net::new();
    net.swap("A", "new");
    let now = net.now;
    net.node("B").participant.rolled_back(guest("new"), guest("old"), "8 faults within 10 s".into(), now);
    net.pass(Duration::from_secs(1));
    net.node("B").participant.serving_changed(guest("new"));
    net.pass(Duration::from_secs(10));
    assert_eq!(net.serving(), [guest("new"); 5]);
}

#[test]
fn nonsense_of_a_peer_leaves_room_for_the_next_swap() {
    let mut net = Net::new();
    let swap = HerdSwap { number: u64::MAX, digest: guest("new"), previous: Some(guest("old")), who: "nobody".into() };
    let back = NAMES.map(|name| (name.to_string(), "no".to_string())).into();
    let nonsense = Message::HerdState(HerdState { swap: Some(swap), rolled_back: back });
    let now = net.now;
    net.node("A").participant.receive("B", nonsense, now);
    net.propose("A", "new");
    net.settle();
    assert_eq!(net.answer("A").unwrap().swap.number, 1);
    net.node("D").slow = true;
    net.propose("A", "newer");
    net.settle();
    let attempt = net.nodes["D"].held[0].0.clone();
    let vote = Message::Broadcast(1, Broadcast::Vote { attempt, node: "B".into(), vote: Vote::Enlisted(u64::MAX) });
    net.node("A").participant.receive("B", vote, now);
    net.node("D").prepare(now);
    net.settle();
    assert_eq!(net.answer("A").unwrap().swap.number, 2);
}

#[test]
fn a_node_that_was_held_up_itself_does_not_take_the_others_for_absent() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.node("D").refuses.insert(guest("new"), "not checked: no room");
    net.propose("A", "new");
    net.settle();
    let now = net.now;
    net.node("D").prepare(now);
    net.perform("D");
    // Its refusal is on its way, and node A stands still for ten seconds.
    net.now += Duration::from_secs(10);
    let now = net.now;
    net.node("A").participant.tick(now);
    net.perform("A");
    assert!(net.node("A").answers.is_empty(), "it does not commit without having listened");
    net.settle();
    net.pass(Duration::from_secs(2));
    assert!(matches!(net.answer("A"), Err(NotSwapped::Refused(_))));
    assert_eq!(net.serving(), [guest("old"); 5]);
}

#[test]
fn a_way_back_that_something_is_in_the_way_of_is_gone_later() {
    let mut net = Net::new();
    net.swap("A", "new");
    let now = net.now;
    net.node("B").participant.rolled_back(guest("new"), guest("old"), "8 faults within 10 s".into(), now);
    net.pass(Duration::from_secs(1));
    net.kill("B");
    net.node("B").participant.serving = guest("new");
    net.node("B").participant.herd_state.rolled_back.clear();
    net.start_again("B");
    net.node("B").busy = true;
    net.pass(Duration::from_secs(2));
    net.node("B").busy = false;
    net.pass(Duration::from_secs(2));
    assert_eq!(net.node("B").participant.serving, guest("old"));
    net.assert_at_rest();
}
