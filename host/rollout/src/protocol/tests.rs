//! Whole herds of participants on virtual time. A test carries every message, so partitions, deaths and delays happen where it
//! wants them.

mod discards;
mod net;
mod operators;
mod proposals;
mod signatures;

use std::time::Duration;

use self::net::{CANDIDATE_MAX, NAMES, Net, guest};
use super::herd_state::{HerdState, HerdSwap};
use super::message::{Adopted, Broadcast, Message, Vote};
use super::outcome::{NodeOutcome, NotSwapped};

#[test]
fn herd_swap_reaches_every_node_from_any_coordinator() {
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
    let chunks: Vec<usize> = net.nodes.values().map(|node| node.chunks_received).collect();
    assert!(
        chunks[2] == 0 && [0, 1, 3, 4].iter().all(|&node| chunks[node] >= 4),
        "in chunks, over the links: {chunks:?}"
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
fn herd_swap_is_aborted_everywhere_when_one_node_refuses() {
    let mut net = Net::new();
    net.node("D").refuses.insert(guest("new"), "not checked: no room");
    net.propose("A", "new");
    net.settle();
    net.pass(Duration::from_secs(2));
    let refused = net.answer("A").unwrap_err();
    assert_eq!(refused.to_string(), "D: not checked: no room");
    assert_eq!(net.serving(), [guest("old"); 5]);
    assert!(net.node("B").aborted[0].contains("D refused: not checked: no room"));
    net.assert_at_rest();
}

#[test]
fn absent_node_is_reported_and_adopts_the_swap_when_it_is_back() {
    let mut net = Net::new();
    net.kill("D");
    net.propose("A", "new");
    net.pass(Duration::from_secs(2));
    let outcome = net.answer("A").unwrap();
    assert_eq!(outcome.nodes["D"], NodeOutcome::Absent);
    net.restart("D");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

/// Goal: transcripts that come beside a guest reach every node with it, also one that was absent and whose neighbours have
/// restarted since, and do not change the digest that serves. Method: a swap while one node is down, a restart of the others,
/// and a return.
#[test]
fn herd_swap_brings_the_transcripts_beside_its_guest_to_every_node() {
    let mut net = Net::new();
    net.kill("D");
    net.propose_tested("A", "new", "transcripts");
    net.pass(Duration::from_secs(2));
    assert_eq!(net.answer("A").unwrap().swap.digest, guest("new"));
    for name in ["A", "B", "C", "E"] {
        assert_eq!(net.node(name).transcripts, Some(guest("transcripts")), "{name}");
        net.kill(name);
        net.restart(name);
    }
    net.restart("D");
    net.settle();
    net.pass(Duration::from_secs(6));
    assert_eq!((net.serving(), net.node("D").transcripts), (vec![guest("new"); 5], Some(guest("transcripts"))));
    net.roll_back("B");
    net.settle();
    assert_eq!(net.serving(), [guest("old"); 5], "a rollback needs none");
    net.assert_at_rest();
}

#[test]
fn herd_swap_says_which_nodes_could_not_store_it() {
    let mut net = Net::new();
    net.node("D").disk_error = Some("No space left on device (os error 28)");
    for (coordinator, what) in [("A", "new"), ("D", "other")] {
        net.propose(coordinator, what);
        net.settle();
        let outcome = net.answer(coordinator).unwrap();
        let not_stored = outcome.nodes.iter().filter_map(|(node, outcome)| match outcome {
            NodeOutcome::Serving { not_stored: Some(why), .. } => Some((node.as_str(), why.as_str())),
            _ => None,
        });
        assert_eq!(not_stored.collect::<Vec<_>>(), [("D", "No space left on device (os error 28)")]);
        assert_eq!(net.serving(), [guest(what); 5], "a full disk keeps no node from serving");
    }
    net.assert_at_rest();
}

#[test]
fn proposal_that_its_operator_cancels_is_aborted_until_it_commits() {
    let mut net = Net::new();
    net.nodes.values_mut().for_each(|node| node.slow = true);
    net.propose("A", "new");
    net.settle();
    net.node("A").participant.withdraw_proposal(0);
    net.settle();
    assert_eq!(net.answer("A"), Err(NotSwapped::Withdrawn));
    let now = net.now;
    net.nodes.values_mut().for_each(|node| node.prepare(now));
    net.settle();
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.assert_at_rest();
    // A node that is busy keeps a committed swap open, because the coordinator waits for its report.
    net.nodes.values_mut().for_each(|node| node.slow = false);
    net.node("D").busy = true;
    net.propose("A", "new");
    net.settle();
    net.node("A").participant.withdraw_proposal(0);
    net.node("D").busy = false;
    net.pass(Duration::from_secs(2));
    assert_eq!(net.answer("A").unwrap().swap.digest, guest("new"), "committed, so it is answered as it is");
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn coordinator_death_before_the_commit_changes_nothing_and_its_candidates_expire() {
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
    assert!(net.node("B").aborted[0].contains("the coordinator was silent for 5 s"));
    net.assert_at_rest();
    net.restart("A");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.node("D").slow = false;
    net.propose("B", "new");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5], "the next swap finds no obstacle");
}

#[test]
fn participant_that_stood_still_does_not_count_its_coordinator_as_silent() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.propose("A", "new");
    net.settle();
    net.now += Duration::from_secs(10);
    let now = net.now;
    net.node("B").participant.tick(now);
    net.perform("B");
    assert!(net.node("B").aborted.is_empty());
}

#[test]
fn coordinator_death_after_one_neighbour_has_the_commit_does_not_undo_it() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.propose("A", "new");
    net.settle();
    let now = net.now;
    net.node("D").prepare(now);
    // Message by message, until the coordinator has queued its commit for its neighbours.
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
    net.restart("A");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn partitioned_herd_agrees_when_it_is_whole() {
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
        assert_eq!(net.serving(), [wins; 5], "the higher number wins, then the greater digest");
        net.assert_at_rest();
    }
}

/// Goal: a report about another swap of the same number counts for nothing. Method: a report of another part of a partitioned
/// herd, which arrives before this part has heard of that swap.
#[test]
fn adoption_of_another_guest_with_the_same_number_is_not_counted() {
    let mut net = Net::new();
    net.node("D").busy = true;
    net.propose("A", "new");
    net.settle();
    let result = Ok(Adopted { generation: 7, name: "another".into(), unread: 0, discarded: None });
    let other =
        Broadcast::AdoptionResult { node: "D".into(), number: 1, digest: guest("other"), result, not_stored: None };
    let now = net.now;
    net.node("A").participant.receive("B", Message::Broadcast(1, other), now);
    net.settle();
    net.pass(Duration::from_secs(11));
    assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Pending);
}

#[test]
fn rolled_back_node_stays_so_and_half_of_the_nodes_roll_back_the_herd() {
    let mut net = Net::new();
    net.swap("A", "new");
    let roll_back_node = |net: &mut Net, name| {
        let now = net.now;
        net.node(name).participant.rolled_back(guest("new"), guest("old"), "8 faults within 10 s".into(), now);
        net.pass(Duration::from_secs(6));
    };
    roll_back_node(&mut net, "B");
    roll_back_node(&mut net, "D");
    let (old, new) = (guest("old"), guest("new"));
    assert_eq!(net.serving(), [new, old, new, old, new]);
    net.kill("B");
    net.restart("B");
    net.pass(Duration::from_secs(6));
    assert_eq!(net.serving(), [new, old, new, old, new], "after a restart as well");
    net.kill("B");
    net.node("B").participant.serving = new;
    net.node("B").participant.herd_state.rolled_back.clear();
    net.restart("B");
    net.pass(Duration::from_secs(6));
    assert_eq!(net.serving(), [new, old, new, old, new], "after a restart that lost the rollback as well");
    assert_eq!(net.node("E").participant.herd_state.rolled_back.keys().collect::<Vec<_>>(), ["B", "D"]);
    roll_back_node(&mut net, "E");
    assert_eq!(net.serving(), [old; 5]);
    assert_eq!(net.node("A").participant.herd_state.number(), 2);
    net.roll_back("A");
    net.settle();
    assert_eq!(net.answer("A").unwrap_err(), NotSwapped::RolledBackItself);
    net.assert_at_rest();
}

#[test]
fn node_that_cannot_adopt_reports_it_and_serves_on() {
    let mut net = Net::new();
    net.kill("D");
    net.node("D").refuses.insert(guest("new"), "not checked: another version");
    net.propose("A", "new");
    net.pass(Duration::from_secs(2));
    net.restart("D");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.node("D").participant.serving, guest("old"));
    assert_eq!(net.node("A").participant.herd_state.rolled_back["D"], "not checked: another version");
    net.assert_at_rest();
}

#[test]
fn silent_participant_counts_as_absent_and_does_not_block_the_commit() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.propose("A", "new");
    net.pass(Duration::from_secs(20));
    assert!(net.node("A").answers.is_empty(), "a participant that prepares and votes is waited for");
    net.kill("D");
    net.pass(Duration::from_secs(6));
    assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Absent);
    assert_eq!(net.serving(), [guest("new"), guest("new"), guest("new"), guest("old"), guest("new")]);
    net.assert_at_rest();
}

#[test]
fn swap_of_a_single_node_stays_until_the_herd_swaps() {
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
fn rollback_before_the_adoption_is_reported_counts() {
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
        "half of the nodes rolled back"
    );
    net.assert_at_rest();
}

#[test]
fn commit_during_preparation_is_adopted_when_the_candidate_is_ready() {
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

/// Goal: a node does not serve by commit what its own rehearsal refused. Method: node D is cut off while it prepares, so that
/// the others commit without it, and its preparation ends at different times.
#[test]
fn guest_that_the_own_rehearsal_refused_is_not_adopted_by_commit() {
    for ends in ["before it is given up", "after it was given up", "after the commit is known"] {
        let mut net = Net::new();
        net.node("D").slow = true;
        net.node("D").fails_rehearsal.insert(guest("new"), "not rehearsed: it faults on \"BOOM\"");
        net.propose("A", "new");
        net.settle();
        net.cut_off("D");
        if ends == "before it is given up" {
            let now = net.now;
            net.node("D").prepare(now);
        }
        net.pass(Duration::from_secs(7));
        assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Absent);
        if ends == "after it was given up" {
            let now = net.now;
            net.node("D").prepare(now);
        }
        net.link("C", "D");
        net.settle();
        let now = net.now;
        net.node("D").prepare(now);
        net.pass(Duration::from_secs(2));
        assert_eq!(net.node("D").participant.serving, guest("old"), "{ends}");
        let shown = &net.node("A").participant.herd_state.rolled_back["D"];
        assert_eq!(shown, "not rehearsed: it faults on \"BOOM\"", "{ends}");
        net.assert_at_rest();
        net.node("D").slow = false;
        net.roll_back("A");
        net.settle();
        assert_eq!(net.serving(), [guest("old"); 5], "{ends}");
        // What was refused in one attempt may serve by another.
        net.node("D").fails_rehearsal.clear();
        net.answer("A").unwrap();
        net.swap("B", "new");
        assert_eq!(net.serving(), [guest("new"); 5], "{ends}");
        net.assert_at_rest();
    }
}

/// Goal: a node does not rehearse the guest that it is activating, because the result would come too late. Method: node D learns of the
/// commit first, and of the plan of the attempt while its host is at work.
#[test]
fn guest_that_is_being_adopted_is_not_prepared() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.propose("A", "new");
    net.settle();
    let (attempt, plan) = net.node("D").held[0].clone();
    net.cut_off("D");
    net.pass(Duration::from_secs(7));
    assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Absent);
    net.restart("D");
    let (now, node) = (net.now, net.node("D"));
    (node.slow, node.adopts_late) = (true, true);
    net.settle();
    let node = net.node("D");
    node.participant.prepare_candidate(attempt, plan, "C", now);
    net.perform("D");
    assert!(net.node("D").held.is_empty(), "it is being activated");
    net.node("D").end_adoption(now);
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

/// Goal: a participant that gave an attempt up takes part again when it hears of it, although its host is still at work. Method:
/// node C keeps the coordinator from committing while node D is cut off.
#[test]
fn participant_that_gave_up_resumes_its_preparation() {
    let mut net = Net::new();
    ["C", "D"].iter().for_each(|name| net.node(name).slow = true);
    net.propose("A", "new");
    net.settle();
    net.cut_off("D");
    net.pass(Duration::from_millis(5_500));
    net.link("D", "E");
    net.pass(Duration::from_secs(2));
    assert!(net.node("A").answers.is_empty());
    let now = net.now;
    ["C", "D"].iter().for_each(|name| net.node(name).prepare(now));
    net.pass(Duration::from_secs(2));
    let outcome = net.answer("A").unwrap();
    assert!(
        outcome.nodes.values().all(|node| matches!(node, NodeOutcome::Serving { generation: 2, .. })),
        "{outcome:?}"
    );
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn node_that_starts_during_preparation_takes_part() {
    let mut net = Net::new();
    net.kill("B");
    net.node("D").slow = true;
    net.propose("A", "new");
    net.pass(Duration::from_secs(3));
    net.restart("B");
    net.pass(Duration::from_secs(3));
    assert_eq!(net.node("B").candidate, Some(guest("new")));
    let now = net.now;
    net.node("D").prepare(now);
    net.pass(Duration::from_secs(1));
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn adoption_is_retried_after_a_temporary_obstacle() {
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
fn operator_may_serve_a_rolled_back_guest_on_a_single_node_again() {
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
fn implausible_swap_numbers_of_a_peer_are_ignored() {
    let mut net = Net::new();
    let swap = HerdSwap {
        number: u64::MAX,
        digest: guest("new"),
        previous: Some(guest("old")),
        who: "nobody".into(),
        attempt: 0,
        force: false,
        transcripts: None,
        discards: Vec::new(),
    };
    let back = NAMES.map(|name| (name.to_string(), "no".to_string())).into();
    let nonsense = Message::HerdState(HerdState { swap: Some(swap), rolled_back: back, ..HerdState::default() });
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
fn coordinator_that_stood_still_does_not_count_others_as_absent() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.node("D").refuses.insert(guest("new"), "not checked: no room");
    net.propose("A", "new");
    net.settle();
    let now = net.now;
    net.node("D").prepare(now);
    net.perform("D");
    // The refusal is in flight while node A stands still for ten seconds.
    net.now += Duration::from_secs(10);
    let now = net.now;
    net.node("A").participant.tick(now);
    net.perform("A");
    assert!(net.node("A").answers.is_empty(), "no commit before the queued messages are read");
    net.settle();
    net.pass(Duration::from_secs(2));
    assert!(matches!(net.answer("A"), Err(NotSwapped::Refused(_))));
    assert_eq!(net.serving(), [guest("old"); 5]);
}

#[test]
fn restored_rollback_is_retried_after_a_temporary_obstacle() {
    let mut net = Net::new();
    net.swap("A", "new");
    let now = net.now;
    net.node("B").participant.rolled_back(guest("new"), guest("old"), "8 faults within 10 s".into(), now);
    net.pass(Duration::from_secs(1));
    net.kill("B");
    net.node("B").participant.serving = guest("new");
    net.node("B").participant.herd_state.rolled_back.clear();
    net.restart("B");
    net.node("B").busy = true;
    net.pass(Duration::from_secs(2));
    net.node("B").busy = false;
    net.pass(Duration::from_secs(2));
    assert_eq!(net.node("B").participant.serving, guest("old"));
    net.assert_at_rest();
}
