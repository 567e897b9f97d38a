//! Tests of what a link knows of its peer.

use super::*;
use crate::journal::NoJournal;
use crate::lanes::Lane;
use crate::replica::ReplicaConfig;
use crate::stamp::Epoch;
use crate::tests::pair::Asleep;

/// Machine of a link from Jaquez to Riley, which has defined one lane.
fn machine() -> LinkMachine {
    let replica = Arc::new(Replica::new(ReplicaConfig::for_tests("Jaquez"), NoJournal));
    let mut machine = LinkMachine::new(replica, LinkPort::new("Riley", 1 << 20, 2, Asleep));
    let lane = Lane { origin: "Riley".into(), epoch: Epoch { started_ms: 5, random: 5 }, worker: 0 };
    machine.hear(LinkFrame::Lanes(vec![(LaneId(0), lane)])).unwrap();
    machine
}

fn seqs(seq: u64) -> LaneSeqs {
    vec![(LaneId(0), seq)]
}

/// Goal: reports that the peer covers are left out as long as the node may get them from elsewhere, and not longer, because that has a
/// cost. Method: the first turn behind the first claim ends it.
#[test]
fn node_catches_up_until_the_turn_behind_the_first_claim() {
    let mut machine = machine();
    assert!(machine.turn().frames.is_empty(), "nothing before the vector of the peer");
    machine.hear(LinkFrame::Vector(seqs(5))).unwrap();
    assert_eq!(machine.catching_up, CatchingUp::Yes);
    let _ = machine.turn();
    assert_eq!(machine.catching_up, CatchingUp::Yes);
    machine.hear(LinkFrame::Claim(seqs(5))).unwrap();
    assert_eq!(machine.catching_up, CatchingUp::Claimed);
    let _ = machine.turn();
    assert_eq!(machine.catching_up, CatchingUp::No);
    machine.hear(LinkFrame::Claim(seqs(6))).unwrap();
    assert_eq!(machine.catching_up, CatchingUp::No);
}

#[test]
fn node_has_nothing_to_catch_up_with_a_peer_that_covers_no_more() {
    let mut machine = machine();
    machine.replica.merge_claim(&[(machine.peer_lanes[0], 5)]);
    machine.hear(LinkFrame::Vector(seqs(5))).unwrap();
    assert_eq!(machine.catching_up, CatchingUp::No);
}

#[test]
fn peer_covers_what_its_vector_claims_and_acknowledgements_say() {
    let mut machine = machine();
    let lane = machine.peer_lanes[0];
    let mut covered = |frame| {
        machine.hear(frame).unwrap();
        let (peer, acked) = (machine.peer.as_ref().unwrap().get(lane), machine.port.acked.lock().get(lane));
        (peer, machine.said.get(lane), acked, machine.replica.vector().get(lane))
    };
    assert_eq!(covered(LinkFrame::Vector(seqs(3))), (Some(3), Some(3), None, None));
    assert_eq!(covered(LinkFrame::Claim(seqs(5))), (Some(5), Some(5), None, Some(5)));
    assert_eq!(
        covered(LinkFrame::Have(seqs(7))),
        (Some(7), Some(7), Some(7), Some(5)),
        "which says nothing of this node"
    );
}

#[test]
fn frame_against_the_protocol_is_a_violation() {
    let mut machine = machine();
    let lane = Lane { origin: "Riley".into(), epoch: Epoch { started_ms: 6, random: 6 }, worker: 0 };
    assert_eq!(machine.hear(LinkFrame::Lanes(vec![(LaneId(2), lane)])), Err(Violation::Lanes));
    let unknown = vec![(LaneId(1), 1)];
    for frame in [LinkFrame::Vector(unknown.clone()), LinkFrame::Claim(unknown.clone()), LinkFrame::Have(unknown)] {
        assert_eq!(machine.hear(frame), Err(Violation::Lanes));
    }
    machine.hear(LinkFrame::Vector(seqs(3))).unwrap();
    assert_eq!(machine.hear(LinkFrame::Vector(seqs(4))), Err(Violation::Vector));
}
