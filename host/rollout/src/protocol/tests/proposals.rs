//! Proposals that meet others, and those whose coordinator dies or is restarted.

use std::time::Duration;

use super::net::{NAMES, Net, guest};
use crate::protocol::outcome::{NodeOutcome, NotSwapped};

#[test]
fn concurrent_proposals_commit_one_and_supersede_the_other() {
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

/// Goal: two operators of one node are treated like two of different nodes. Method: the first swap is refused by a node, commits,
/// or takes long.
#[test]
fn concurrent_proposals_at_one_node_wait_for_each_other() {
    let mut net = Net::new();
    net.node("D").refuses.insert(guest("new"), "not checked: no room");
    net.propose("A", "new");
    net.propose("A", "other");
    net.settle();
    net.pass(Duration::from_secs(3));
    assert!(matches!(net.node("A").answers.remove(0), Err(NotSwapped::Refused(_))));
    assert_eq!(net.answer("A").unwrap().swap.digest, guest("other"), "it goes on when the first comes to nothing");
    net.propose("A", "newest");
    net.propose("A", "old");
    net.settle();
    net.pass(Duration::from_secs(1));
    let committed = net.node("A").answers.remove(0).unwrap();
    let superseded =
        NotSwapped::Superseded { number: 2, digest: guest("newest").short(), who: "mira, asked at A".into() };
    assert_eq!((committed.swap.digest, net.answer("A").unwrap_err()), (guest("newest"), superseded));
    net.node("D").slow = true;
    net.propose("A", "other");
    (0..5).for_each(|_| net.propose("A", "old"));
    net.settle();
    assert_eq!(net.answer("A").unwrap_err(), NotSwapped::Busy, "a bounded number waits");
    net.pass(Duration::from_secs(6));
    let other = NotSwapped::OtherSwap(format!("to {}, by mira, asked at A", guest("other").short()));
    assert_eq!(net.node("A").answers.drain(..).map(Result::unwrap_err).collect::<Vec<_>>(), vec![other; 4]);
    let now = net.now;
    net.node("D").prepare(now);
    net.settle();
    assert_eq!(net.answer("A").unwrap().swap.digest, guest("other"));
    net.assert_at_rest();
}

#[test]
fn concurrent_proposal_at_another_node_is_told_whom_it_waited_for() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.propose("A", "new");
    net.settle();
    net.propose("C", "other");
    net.pass(Duration::from_secs(6));
    let other = format!("to {}, by mira, asked at A", guest("new").short());
    assert_eq!(net.answer("C").unwrap_err(), NotSwapped::OtherSwap(other));
}

#[test]
fn rollback_does_not_wait_for_the_reports_of_a_committed_swap() {
    let mut net = Net::new();
    net.node("D").busy = true;
    net.propose("A", "new");
    net.settle();
    net.roll_back("A");
    net.settle();
    assert_eq!(net.node("A").answers.remove(0).unwrap().nodes["D"], NodeOutcome::Pending);
    net.node("D").busy = false;
    net.pass(Duration::from_secs(2));
    assert_eq!(net.answer("A").unwrap().swap.digest, guest("old"));
    assert_eq!(net.serving(), [guest("old"); 5]);
}

/// Goal: a herd that must go back does not wait for a coordinator that died. Method: node D holds up its preparation, so that
/// the swap is under way when its coordinator dies.
#[test]
fn rollback_after_the_death_of_a_coordinator_is_not_held_up() {
    let mut net = Net::new();
    net.swap("B", "new");
    net.node("D").slow = true;
    net.propose("A", "newest");
    net.settle();
    net.kill("A");
    net.roll_back("B");
    net.pass(Duration::from_secs(2));
    let outcome = net.answer("B").unwrap();
    assert_eq!((outcome.swap.number, outcome.swap.digest), (2, guest("old")));
    assert_eq!(net.serving()[1..], [guest("old"); 4]);
    assert!(net.node("C").aborted[0].contains("a rollback of the herd goes first (mira, asked at B)"));
    let now = net.now;
    net.node("D").prepare(now);
    net.restart("A");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.assert_at_rest();
}

#[test]
fn rollback_preempts_a_swap_whose_coordinator_lives() {
    for at_the_same_node in [false, true] {
        let mut net = Net::new();
        net.swap("B", "new");
        net.node("D").slow = true;
        net.propose("A", "newest");
        net.settle();
        let by = if at_the_same_node { "A" } else { "C" };
        net.roll_back(by);
        net.settle();
        let preempted = NotSwapped::Preempted(format!("mira, asked at {by}"));
        assert_eq!(net.node("A").answers.remove(0).unwrap_err(), preempted);
        assert_eq!(net.answer(by).unwrap().swap.digest, guest("old"));
        assert_eq!(net.serving(), [guest("old"); 5]);
        let now = net.now;
        net.node("D").prepare(now);
        net.settle();
        net.assert_at_rest();
    }
}

/// Goal: participants do not wait out the silence of a coordinator that is back and remembers nothing. Method: no time passes
/// after its restart.
#[test]
fn proposal_ends_when_its_coordinator_is_restarted() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.propose("A", "new");
    net.settle();
    net.kill("A");
    net.restart("A");
    net.settle();
    assert!(net.node("C").aborted[0].contains("the coordinator was restarted"), "also where it is no neighbour");
    let now = net.now;
    net.node("D").prepare(now);
    net.node("D").slow = false;
    net.settle();
    net.assert_at_rest();
    net.propose("C", "newest");
    net.settle();
    assert_eq!(net.answer("C").unwrap().swap.number, 1);
    assert_eq!(net.serving(), [guest("newest"); 5]);
}

#[test]
fn proposal_of_a_restarted_coordinator_replaces_its_last_one() {
    let mut net = Net::new();
    net.cut("D", "E");
    net.propose("A", "new");
    NAMES.into_iter().for_each(|name| net.perform(name));
    let now = net.now;
    let (_, _, enlist) = net.carried.pop_front().unwrap();
    net.node("B").participant.receive("A", enlist, now);
    net.carried.clear();
    net.kill("A");
    net.restart("A");
    // Node B never learns that its coordinator was restarted but by the next attempt.
    net.carried.clear();
    net.propose("A", "newest");
    net.settle();
    assert_eq!(net.answer("A").unwrap().swap.digest, guest("newest"));
    assert_eq!(net.serving(), [guest("newest"); 5]);
}

/// Goal: an operator changes only what can be seen. Method: node C has missed the last swap, because the messages about it were
/// lost, and its operator rolls back the one before.
#[test]
fn rollback_at_a_node_that_missed_the_last_swap_is_superseded() {
    let mut net = Net::new();
    net.swap("A", "new");
    net.cut_off("C");
    net.propose("A", "newest");
    net.pass(Duration::from_secs(2));
    net.answer("A").unwrap();
    net.link("B", "C");
    NAMES.into_iter().for_each(|name| net.perform(name));
    net.carried.clear();
    net.roll_back("C");
    net.pass(Duration::from_secs(2));
    assert!(matches!(net.answer("C"), Err(NotSwapped::Superseded { number: 2, .. })));
    assert_eq!(net.serving(), [guest("newest"); 5]);
    net.assert_at_rest();
}

/// Goal: a coordinator that loses its own part in its attempt takes part again. Method: node A has missed a swap, and its operator proposes
/// the same guest. The adoption of that swap uses up the candidate of A while node D holds up its own.
#[test]
fn coordinator_whose_candidate_an_adoption_used_prepares_another() {
    let mut net = Net::new();
    net.cut_off("A");
    net.propose("C", "new");
    net.pass(Duration::from_secs(2));
    net.answer("C").unwrap();
    net.node("A").busy = true;
    net.node("D").slow = true;
    net.link("A", "B");
    net.settle();
    net.propose("A", "new");
    net.pass(Duration::from_secs(2));
    assert_eq!((net.node("A").candidate, net.node("D").held.len()), (Some(guest("new")), 1));
    net.node("A").busy = false;
    net.pass(Duration::from_secs(2));
    assert_eq!(net.node("A").participant.serving, guest("new"), "it has adopted the swap that it missed");
    let now = net.now;
    net.node("D").prepare(now);
    net.pass(Duration::from_secs(3));
    assert_eq!(net.answer("A").unwrap().swap.number, 2);
    net.assert_at_rest();
}
