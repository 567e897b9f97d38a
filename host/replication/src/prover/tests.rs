//! Tests of the questions of a walk, whose limits only a large table reaches.

use super::*;
use crate::journal::NoJournal;
use crate::replica::ReplicaConfig;
use crate::tests::pair::Asleep;

/// Prover in a walk through trees of depth 16, with these buckets open and so many suspects.
fn walking(open: impl IntoIterator<Item = (u32, u32)>, suspects: u32) -> Prover {
    let replica = Arc::new(Replica::new(ReplicaConfig::for_tests("Jaquez"), NoJournal));
    let mut prover = Prover::new(replica, LinkPort::new("Riley", 1 << 20, 2, Asleep));
    let suspect = |prefix| Suspect { prefix, own: Bucket::default(), peer: Bucket { sum: 1, count: 1 } };
    (prover.leaf_depth, prover.open) = (16, open.into_iter().collect());
    prover.suspects = (0..suspects).map(suspect).collect();
    prover
}

/// Returns round, depth, step and prefixes of the next question, or `None` if the walk asks for no children now.
fn next_question(prover: &mut Prover) -> Option<(u64, u32, u32, Vec<u32>)> {
    let mut frames = Vec::new();
    prover.descend(60, &mut frames);
    let [ProofFrame::Ask(ask)] = &frames[..] else { return None };
    assert_eq!((&prover.stage, ask.parents.cutoff_s), (&Stage::Asked(ask.clone()), 60));
    Some((ask.round, ask.parents.depth, ask.step, ask.parents.prefixes.clone()))
}

#[test]
fn question_is_for_the_deepest_buckets_first() {
    let mut prover = walking([(4, 2), (4, 1), (8, 34), (8, 33), (14, 7)], 0);
    assert_eq!(next_question(&mut prover), Some((1, 14, 2, vec![7])), "no deeper than the leaves");
    assert_eq!(next_question(&mut prover), Some((2, 8, 4, vec![33, 34])));
    assert_eq!(next_question(&mut prover), Some((3, 4, 4, vec![1, 2])));
    assert_eq!((next_question(&mut prover), prover.open.len()), (None, 0));
}

/// Goal: answers and suspects fit into frames. Method: more open buckets than a question can be for, and more and more suspects, whose
/// number may grow by that of the answer.
#[test]
fn question_leaves_room_for_the_suspects_that_its_answer_may_bring() {
    for (suspects, asked) in [(0, 16), (1, 15), (100, 9), (239, 1), (240, 1)] {
        let mut prover = walking((0..20).map(|prefix| (8, prefix)), suspects);
        let (_, _, _, prefixes) = next_question(&mut prover).unwrap();
        assert_eq!(prefixes, (20 - asked..20).collect::<Vec<_>>(), "{suspects}");
        assert_eq!(prover.open.len() as u32, 20 - asked);
    }
    for suspects in [241, 256, 300] {
        let mut prover = walking((0..20).map(|prefix| (8, prefix)), suspects);
        assert_eq!(next_question(&mut prover), None, "{suspects}");
        assert!(matches!(prover.stage, Stage::Looking { cutoff_s: 60, .. }));
        assert_eq!((prover.open.len(), prover.suspects.len() as u32), (20, suspects));
    }
}
