//! Proofs of equality, and repair.

use std::collections::BTreeSet;
use std::sync::Arc;

use herd_model::Kept;
use proptest::prelude::*;

use super::pair::{Pair, put};
use crate::digest::{Bucket, RecordHasher};
use crate::journal::NoJournal;
use crate::replica::{NewRecord, Replica, ReplicaConfig};
use crate::stamp::{LaneId, Stamp};
use crate::wire_report::{Head, WireReport};

/// Kinds of frames: question, answer, mend.
const ASK: u8 = 21;
const TELL: u8 = 22;
const MEND: u8 = 24;

fn keep(replica: &Replica, key: &[u8]) {
    let new = NewRecord { key, rank: b"1", form: 1, record: b"AT", expires_at: 0, only: None };
    assert!(matches!(replica.keep(0, new).kept, Kept::Applied(_)));
}

fn root(replica: &Replica) -> Bucket {
    replica.table().digests().refresh(&**replica.table(), 0).root()
}

#[test]
fn proof_of_equal_stores_takes_less_than_100_bytes() {
    let mut pair = Pair::new();
    for number in 0..1000 {
        keep(&pair.nodes[number % 2].replica, format!("k{number}").as_bytes());
    }
    pair.settle();
    assert_eq!((pair.status(0).proof_age_s, pair.status(0).converged()), (None, false));
    pair.tick(1_000_000);
    pair.settle();
    let bytes = |pair: &Pair| pair.status(0).proof_bytes + pair.status(1).proof_bytes;
    let before = bytes(&pair);
    pair.tick(1_000_030);
    pair.settle();
    let bytes = bytes(&pair) - before;
    assert!((1..100).contains(&bytes), "{bytes}");
    pair.tick(1_000_031);
    for index in 0..2 {
        let status = pair.status(index);
        assert_eq!((status.converged(), status.proof_age_s, status.repairs), (true, Some(1), 0));
    }
}

#[test]
fn proof_is_repeated_once_a_period_and_by_one_of_the_two_nodes() {
    let mut pair = Pair::new();
    pair.tick(1000);
    pair.settle();
    let bytes = [0, 1].map(|index| pair.status(index).proof_bytes);
    for (now_s, is_due) in [(1029, false), (1030, true), (1059, false), (1060, true), (1061, false)] {
        pair.tick(now_s);
        assert!(pair.turn(0).is_empty(), "digests first");
        assert_eq!(pair.refresh(0), is_due, "{now_s}");
        pair.settle();
        assert_eq!(pair.status(0).proof_age_s.unwrap() == 0, is_due);
    }
    // Jaquez asks and says that it is proved, and Riley answers.
    assert!(pair.status(0).proof_bytes - bytes[0] < 40 && pair.status(1).proof_bytes > bytes[1]);
    pair.tick(1120);
    assert_eq!((pair.status(0).proof_age_s, pair.status(0).converged()), (Some(60), false), "too old");
}

#[test]
fn proof_asked_for_by_an_operator_begins_at_once() {
    let mut pair = Pair::new();
    pair.tick(1000);
    pair.settle();
    put(&pair.nodes[1].replica, b"kiwi", b"1", 0);
    pair.tick(1001);
    pair.settle();
    assert_ne!(pair.records(0), pair.records(1));
    pair.nodes[0].replica.request_proofs();
    pair.settle();
    assert_eq!((pair.records(0).len(), pair.records(0)), (1, pair.records(1)));
    assert_eq!([0, 1].map(|index| pair.status(index).repairs), [1, 1]);
}

/// Goal: repair alone makes any two tables equal, in few rounds and with few bytes. Method: records put into the tables behind the back
/// of links, in a lane that both cover, so that no resend brings them.
fn repair_makes_equal(common: usize, only: [usize; 2], higher: usize) {
    let mut pair = Pair::new();
    for (index, only) in only.into_iter().enumerate() {
        let replica = &pair.nodes[index].replica;
        for number in 0..common {
            let is_higher = index == 1 && number < higher;
            put(replica, format!("k{number}").as_bytes(), if is_higher { b"2" } else { b"1" }, 0);
        }
        for number in 0..only {
            // Some of them are refused by the other node's guest.
            let mark = if number % 8 == 0 { "!" } else { "" };
            put(replica, format!("{index}-{number}{mark}").as_bytes(), b"1", 0);
        }
    }
    pair.nodes[0].machine.prove(1000);
    let rounds = pair.settle();
    let [left, right] = [0, 1].map(|index| root(&pair.nodes[index].replica));
    assert_eq!(left, right);
    let keys = [0, 1].map(|index| pair.records(index).into_iter().map(|record| record.key).collect::<BTreeSet<_>>());
    assert_eq!(keys[0], keys[1]);
    assert_eq!(left.count as usize, common + only[0] + only[1]);
    assert!(rounds < 60, "{rounds}");
    assert_eq!(pair.status(0).proof_age_s, Some(0));
    assert_eq!(pair.status(0).repairs > 0, only != [0, 0] || higher > 0);
}

#[test]
fn repair_finds_one_record_among_many_and_sends_little() {
    let mut pair = Pair::new();
    for number in 0..20_000 {
        let key = format!("k{number}");
        put(&pair.nodes[0].replica, key.as_bytes(), b"1", 0);
        if number != 4711 {
            put(&pair.nodes[1].replica, key.as_bytes(), b"1", 0);
        }
    }
    let before = pair.status(0).reports_sent;
    pair.nodes[0].machine.prove(1000);
    let rounds = pair.settle();
    assert_eq!(root(&pair.nodes[0].replica), root(&pair.nodes[1].replica));
    let sent = pair.status(0).reports_sent - before;
    assert!((1..200).contains(&sent), "{sent}");
    assert!(rounds < 20, "{rounds}");
    assert!(pair.status(0).proof_bytes + pair.status(1).proof_bytes < 2000);
}

#[test]
fn repair_makes_a_lost_table_equal_again() {
    repair_makes_equal(0, [30_000, 0], 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn repair_makes_tables_with_random_differences_equal(common in 0..3000_usize, left in 0..200_usize, right in 0..2000_usize, higher in 0..100_usize) {
        repair_makes_equal(common, [left, right], higher.min(common));
    }
}

/// Takes two nodes that differ in one record to the point where the first look found it and the second one is due.
fn before_the_second_look() -> Pair {
    let mut pair = Pair::new();
    put(&pair.nodes[0].replica, b"kiwi", b"1", 0);
    pair.nodes[0].machine.prove(1000);
    assert!(pair.turn(0).is_empty());
    assert!(pair.refresh(0));
    assert_eq!(pair.turn(0), [ASK]);
    pair.deliver(0);
    assert!(pair.turn(1).is_empty(), "no answer without fresh digests");
    assert!(pair.refresh(1));
    assert_eq!(pair.turn(1), [TELL]);
    pair.deliver(1);
    assert!(pair.turn(0).is_empty());
    pair
}

/// Takes the second look, and returns what the node that leads does then. `late` keeps a record once the digests of its look are made.
fn second_look(pair: &mut Pair, late: Option<usize>) -> Vec<u8> {
    assert!(pair.refresh(0));
    assert_eq!(pair.turn(0).pop(), Some(ASK));
    pair.deliver(0);
    pair.refresh(1);
    late.iter().filter(|index| **index == 1).for_each(|_| keep(&pair.nodes[1].replica, b"late"));
    assert_eq!(pair.turn(1).pop(), Some(TELL));
    pair.deliver(1);
    late.iter().filter(|index| **index == 0).for_each(|_| keep(&pair.nodes[0].replica, b"late"));
    pair.turn(0)
}

#[test]
fn bucket_that_stays_different_is_mended() {
    let mut pair = before_the_second_look();
    assert!(second_look(&mut pair, None).contains(&MEND));
}

#[test]
fn bucket_that_changes_between_two_looks_is_not_mended() {
    for index in 0..2 {
        let mut pair = before_the_second_look();
        put(&pair.nodes[index].replica, b"other", b"1", 0);
        let kinds = second_look(&mut pair, None);
        assert!(!kinds.contains(&MEND), "{index}: {kinds:?}");
        assert_eq!([0, 1].map(|index| pair.status(index).repairs), [0, 0]);
        pair.settle();
        assert_eq!(pair.records(0), pair.records(1), "the next walk mends it");
        assert!(pair.status(0).repairs > 0);
    }
}

#[test]
fn bucket_is_not_mended_while_a_record_is_under_way() {
    for index in 0..2 {
        let kinds = second_look(&mut before_the_second_look(), Some(index));
        assert!(!kinds.contains(&MEND), "{index}: {kinds:?}");
    }
}

#[test]
fn record_that_arrives_during_a_proof_is_no_difference() {
    let mut pair = Pair::new();
    pair.nodes[0].machine.prove(1000);
    pair.turn(0);
    pair.refresh(0);
    assert_eq!(pair.turn(0), [ASK]);
    keep(&pair.nodes[1].replica, b"kiwi");
    pair.settle();
    assert_eq!((pair.status(0).proof_age_s, pair.status(0).repairs), (Some(0), 0));
}

#[test]
fn root_that_differs_while_records_are_under_way_says_nothing() {
    let mut pair = Pair::new();
    put(&pair.nodes[1].replica, b"kiwi", b"1", 0);
    pair.nodes[0].machine.prove(1000);
    pair.turn(0);
    pair.refresh(0);
    pair.turn(0);
    pair.deliver(0);
    pair.refresh(1);
    keep(&pair.nodes[1].replica, b"late");
    pair.settle();
    assert_eq!((pair.status(0).proof_age_s, pair.status(0).repairs), (None, 0));
    pair.nodes[0].machine.prove(1030);
    pair.settle();
    assert_eq!((pair.status(0).proof_age_s, pair.status(0).repairs), (Some(0), 1), "in the next period");
}

#[test]
fn proof_begins_again_after_two_periods_without_an_answer() {
    let mut pair = Pair::new();
    pair.nodes[0].machine.prove(1000);
    for (now_s, kinds) in [(1000, &[ASK][..]), (1030, &[]), (1059, &[]), (1060, &[ASK])] {
        pair.nodes[0].machine.prove(now_s);
        pair.turn(0);
        pair.refresh(0);
        assert_eq!(pair.turn(0), kinds, "{now_s}");
        pair.flight[0].clear();
    }
}

#[test]
fn digests_agree_at_every_depth_that_two_tables_share() {
    let table = |hash_key, count: u32| {
        let replica = Replica::new(ReplicaConfig { hash_key, ..ReplicaConfig::for_tests("Riley") }, NoJournal);
        (0..count).for_each(|number| assert!(put(&replica, &number.to_be_bytes(), b"1", 0)));
        let sums = replica.table().digests().refresh(&**replica.table(), 0);
        (replica, sums)
    };
    let (_, left) = table(1, 20_000);
    let (small, few) = table(2, 100);
    assert_eq!((left.bits, few.bits), (8, 0));
    (100..20_000_u32).for_each(|number| assert!(put(&small, &number.to_be_bytes(), b"1", 0)));
    let right = small.table().digests().refresh(&**small.table(), 0);
    assert_ne!(few.root(), right.root());
    for depth in 0..=8 {
        let buckets = (0..1 << depth).map(|prefix| left.get(depth, prefix).unwrap());
        assert!(buckets.clone().eq((0..1 << depth).map(|prefix| right.get(depth, prefix).unwrap())));
        assert_eq!(buckets.map(|bucket| bucket.count).sum::<u64>(), 20_000);
    }
    assert_eq!((left.get(9, 0), left.get(8, 256)), (None, None));
    let largest = (0..256).map(|prefix| left.get(8, prefix).unwrap().count).max().unwrap();
    assert!(largest < 140, "places are spread evenly: {largest}");
    let again = small.table().digests().refresh(&**small.table(), 0);
    assert!(Arc::ptr_eq(&right, &again), "nothing changed, so nothing is hashed");
}

#[test]
fn digests_hold_for_their_cut_off_alone() {
    let replica = Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal);
    for (key, expires_at) in [(&b"kiwi"[..], 60), (b"plum", 120), (b"fig", 0)] {
        put(&replica, key, b"1", expires_at);
    }
    let digests = replica.table().digests();
    // The boundaries of the two that expire are at 660 and 720.
    for cutoff_s in [0, 720, 600, 660, 0] {
        let count = digests.refresh(&**replica.table(), cutoff_s).root().count;
        assert_eq!(count, 3 - u64::from(cutoff_s >= 660) - u64::from(cutoff_s >= 720), "{cutoff_s}");
        let holds = [600, 659, 660, 719, 720, 9999].map(|other| digests.last(other).is_some());
        assert_eq!(
            holds,
            match count {
                3 => [true, true, false, false, false, false],
                2 => [false, false, true, true, false, false],
                _ => [false, false, false, false, true, true],
            }
        );
    }
    let request = digests.request();
    assert!(digests.since(request, 0).is_none(), "a refresh of before the request");
    digests.refresh(&**replica.table(), 0);
    assert!(digests.since(request, 0).is_some());
}

#[test]
fn digest_is_of_every_field_on_which_nodes_must_agree() {
    let of = |change: &dyn Fn(&mut WireReport<'static>)| {
        let stamp = Stamp { lane: LaneId(1), seq: 1 };
        let head = Head::of(stamp);
        let mut report =
            WireReport { head, key: b"key", reign: 1, rank: b"rank", form: 1, record: b"record", extension: b"" };
        change(&mut report);
        RecordHasher::new(7).hash(&report)
    };
    let hashes = [
        of(&|_| ()),
        of(&|report| report.key = b"kez"),
        of(&|report| report.reign = 2),
        of(&|report| report.rank = b"ranl"),
        of(&|report| report.form = 2),
        of(&|report| report.record = b"recorf"),
        of(&|report| report.head.tombstone = true),
        of(&|report| report.head.expires_at = 1),
        of(&|report| (report.key, report.rank) = (b"keyr", b"ank")),
    ];
    assert_eq!(BTreeSet::from(hashes).len(), hashes.len());
    assert_eq!(of(&|report| report.head.stamp.seq = 9), hashes[0], "but not of the stamp");
    assert_ne!(RecordHasher::new(8).place(b"key"), RecordHasher::new(7).place(b"key"));
}
