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

/// Goal: lanes fit into frames, however many starts the nodes of the herd have seen. Method: more lanes than a frame defines, at the greeting and
/// behind it, heard by a peer.
#[test]
fn many_lanes_are_defined_in_frames_of_bounded_size() {
    let mut machine = machine();
    let lane = |started_ms| Lane { origin: "Juzang".into(), epoch: Epoch { started_ms, random: 1 }, worker: 0 };
    let number = |machine: &LinkMachine, starts: std::ops::Range<u64>| {
        starts.for_each(|started_ms| assert!(machine.replica.lanes().id(&lane(started_ms)).is_some()));
    };
    number(&machine, 0..600);
    let mut frames = machine.greet().frames;
    number(&machine, 600..900);
    machine.hear(LinkFrame::Vector(Vec::new())).unwrap();
    frames.extend(machine.turn().frames);
    let defined = |frame: &LinkFrame| if let LinkFrame::Lanes(lanes) = frame { lanes.len() } else { 0 };
    let counts: Vec<usize> = frames.iter().map(defined).filter(|count| *count > 0).collect();
    assert!(counts.iter().all(|count| *count <= LANES_PER_ENTRY), "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), machine.replica.lanes().len());
    let replica = Arc::new(Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal));
    let mut peer = LinkMachine::new(replica, LinkPort::new("Jaquez", 1 << 20, 2, Asleep));
    frames.into_iter().for_each(|frame| peer.hear(frame).unwrap());
    assert_eq!(peer.peer_lanes.len(), machine.replica.lanes().len());
}
