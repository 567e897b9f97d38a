//! Turns of a link: a resend that takes several of them, claims, and what the peer is told.

use herd_model::Kept;

use super::pair::{Pair, old_lane, put};
use crate::journal::NoJournal;
use crate::replica::{NewRecord, Replica, ReplicaConfig};
use crate::stamp::Stamp;

/// Kinds of frames.
const REPORTS: u8 = 18;
const CLAIM: u8 = 19;
const HAVE: u8 = 20;

fn keep(replica: &Replica, key: &[u8], record: &[u8]) {
    let new = NewRecord { key, rank: b"1", form: 1, record, expires_at: 0, only: None };
    assert!(matches!(replica.keep(0, new).kept, Kept::Applied(_)));
}

/// Goal: a link that owes more than a turn takes goes on at once, and neither claims nor proves anything before its end, or the peer would
/// count as covered what it lacks. Method: 1.2 MB of records, of which a turn sends 256 KiB, and a proof that is due.
#[test]
fn resend_takes_several_turns_and_comes_before_claims_and_proofs() {
    let replicas = ["Jaquez", "Riley"].map(|name| Replica::new(ReplicaConfig::for_tests(name), NoJournal));
    (0..20).for_each(|number| keep(&replicas[0], &[number], &[b'x'; 60_000]));
    let mut pair = Pair::greeted(replicas);
    assert!(pair.status(0).owes);
    pair.tick(1000);
    let mut turns = 0;
    loop {
        turns += 1;
        let sent = pair.status(0).bytes_sent;
        let kinds = pair.turn(0);
        let sent = pair.status(0).bytes_sent - sent;
        assert!(sent < 600_000, "{sent}");
        assert!(!pair.refresh(0), "no proof begins");
        assert_eq!((pair.nodes[0].has_more, kinds.contains(&CLAIM)), (pair.status(0).owes, !pair.status(0).owes));
        if !pair.status(0).owes {
            break;
        }
    }
    assert!((3..8).contains(&turns), "{turns}");
    pair.settle();
    assert_eq!((pair.records(0).len(), pair.records(0)), (20, pair.records(1)));
    let status = pair.status(0);
    assert_eq!((status.resends, status.reports_sent, status.repairs, status.proof_age_s), (1, 20, 0, Some(0)));
}

#[test]
fn claim_tells_the_peer_once_what_it_covers() {
    let mut pair = Pair::new();
    keep(&pair.nodes[0].replica, b"kiwi", b"AT");
    assert_eq!((pair.turn(0), pair.status(0).lag), (vec![REPORTS, CLAIM, HAVE], 1));
    assert_eq!((pair.turn(0), pair.status(0).lag), (vec![], 0), "the peer covers it by then");
    pair.deliver(0);
    assert_eq!((pair.turn(1), pair.status(1).lag), (vec![HAVE], 0), "what the peer has claimed is no news to it");
}

/// Goal: a turn reads a part of a large table, also where the peer lacks little of it. Method: 40,000 records that the peer covers, and
/// some in every shard that were kept so often that the recent stamps do not suffice.
#[test]
fn resend_reads_a_part_of_a_large_table_per_turn() {
    let replicas = ["Jaquez", "Riley"].map(|name| {
        let mut replica = Replica::new(ReplicaConfig::for_tests(name), NoJournal);
        let lane = old_lane(&replica);
        replica.recover_lane(lane, Stamp::SEQ_MAX);
        replica
    });
    (0..40_000).for_each(|number| assert!(put(&replicas[0], format!("k{number}").as_bytes(), b"1", 0)));
    for rank in 0..130_u8 {
        for number in 0..1500 {
            let key = format!("often-{number}");
            let new = NewRecord { key: key.as_bytes(), rank: &[rank], form: 1, record: b"", expires_at: 0, only: None };
            let _ = replicas[0].keep(0, new);
        }
    }
    let mut pair = Pair::greeted(replicas);
    let _ = pair.turn(0);
    assert!(pair.status(0).owes, "32,768 were read");
    let _ = pair.turn(0);
    let status = pair.status(0);
    assert_eq!((status.owes, status.reports_sent), (false, 1500));
    assert!((250..=256).contains(&status.shards_scanned), "once each: {}", status.shards_scanned);
}
