//! Reports that a link leaves out while its node catches up after a cut.

use herd_model::Kept;

use super::pair::Pair;
use crate::journal::NoJournal;
use crate::replica::{NewRecord, Replica, ReplicaConfig};

fn keep(replica: &Replica, key: &str) {
    let new = NewRecord { key: key.as_bytes(), rank: b"1", form: 1, record: b"AT", expires_at: 0, only: None };
    assert!(matches!(replica.keep(0, new).kept, Kept::Applied(_)));
}

/// Links Jaquez, which has no records and nothing to resend, with Riley, which has 100 and has sent them. They are on their way.
fn resending() -> Pair {
    let replicas = ["Jaquez", "Riley"].map(|name| Replica::new(ReplicaConfig::for_tests(name), NoJournal));
    (0..100).for_each(|number| keep(&replicas[1], &format!("k{number}")));
    let mut pair = Pair::greeted(replicas);
    let _ = [pair.turn(0), pair.turn(1)];
    pair
}

/// Goal: a node that gets what it lacks on several links at once forwards it to no peer that has had it all the time, and forwards the
/// rest. Method: a third node brings the same records earlier than Riley, whose claim is not here yet.
#[test]
fn report_that_the_peer_covers_is_not_forwarded_to_it_while_the_node_catches_up() {
    let mut pair = resending();
    pair.take_from_elsewhere(0);
    assert!(pair.status(0).queued_bytes > 1000, "queued for Riley, as every report");
    keep(&pair.nodes[0].replica, "new");
    let _ = pair.turn(0);
    assert_eq!(pair.status(0).reports_sent, 1, "the one that Riley does not cover");
    pair.settle();
    assert_eq!((pair.records(0).len(), pair.records(0)), (101, pair.records(1)));
    assert_eq!(pair.status(0).reports_sent, 1);
}

/// Goal: the last of these reports are left out too. Method: they are queued before the peer's claim is heard, and sent after it.
#[test]
fn report_that_waits_when_the_peer_claims_is_not_forwarded_to_it() {
    let mut pair = resending();
    pair.take_from_elsewhere(0);
    pair.deliver(1);
    let _ = pair.turn(0);
    assert_eq!(pair.status(0).reports_sent, 0);
}
