//! Expiry with clocks that differ, forgetting, discarding, listing, and the return after a long absence.

use std::sync::Arc;

use herd_model::Kept;
use herd_sdk::Records;

use super::pair::{Asleep, Log, LogEntry, Pair, put};
use crate::forgetting::Discarded;
use crate::journal::{JournalKind, NoJournal};
use crate::lanes::Lane;
use crate::link_frame::LinkFrame;
use crate::link_machine::{LinkMachine, Violation};
use crate::listing::RecordState;
use crate::live_links::LinkPort;
use crate::node_marks::NodeMarks;
use crate::recovery::Recovered;
use crate::replica::{NewRecord, Replica, ReplicaConfig};
use crate::stamp::{Epoch, LaneId, Stamp};
use crate::vector::Vector;
use crate::wire_report::{Head, WireReport};

const NOW_S: u64 = 1_800_000_000;
/// Time between the expiry of a record and its boundary, if that falls on a whole minute.
const GRACE_S: u64 = 600;

fn keep(replica: &Replica, key: &[u8], rank: &[u8], expires_at: u64) -> Kept {
    replica.keep(0, NewRecord { key, rank, form: 1, record: b"AT", expires_at, only: None }).kept
}

fn is_visible(replica: &Replica, key: &[u8]) -> bool {
    replica.table().find(&[key])[0].is_some()
}

fn states(replica: &Replica) -> Vec<RecordState> {
    replica.list(b"", None, 99).into_iter().map(|record| record.state).collect()
}

#[test]
fn expired_record_is_hidden_at_once_and_removed_at_its_boundary() {
    let replica = Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal);
    let _ = keep(&replica, b"kiwi", b"1", NOW_S);
    let _ = keep(&replica, b"plum", b"1", NOW_S + 1);
    let _ = keep(&replica, b"fig", b"1", 0);
    let expired = |now_s| {
        let removed = replica.expire(now_s);
        let visible = [&b"kiwi"[..], b"plum", b"fig"].map(|key| is_visible(&replica, key));
        (removed, visible, replica.table().status().keys)
    };
    assert_eq!(expired(NOW_S - 1), (0, [true; 3], 3));
    assert_eq!(expired(NOW_S), (0, [false, true, true], 3));
    assert_eq!(states(&replica), [RecordState::Visible, RecordState::Expired, RecordState::Visible]);
    assert_eq!(expired(NOW_S + GRACE_S - 1), (0, [false, false, true], 3));
    assert_eq!(expired(NOW_S + GRACE_S), (1, [false, false, true], 2));
    assert_eq!(expired(NOW_S + GRACE_S + 59), (0, [false, false, true], 2), "a whole minute later");
    assert_eq!(expired(NOW_S + GRACE_S + 60), (1, [false, false, true], 1));
    let status = replica.table().status();
    assert_eq!((status.bytes, status.forms.into_values().sum::<usize>()), (3 + 1 + 2, 1));
}

#[test]
fn removal_takes_what_is_counted_of_a_record_with_it() {
    let mut pair = Pair::new();
    let _ = keep(&pair.nodes[0].replica, b"kiwi!", b"1", NOW_S);
    let _ = keep(&pair.nodes[0].replica, b"kiwi", b"1", NOW_S);
    pair.settle();
    let replica = &pair.nodes[1].replica;
    assert_eq!((replica.table().status().quarantined, replica.table().referenced_lanes().len()), (1, 1));
    let empty = Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal).table().status().digest;
    assert_ne!(replica.table().status().digest, empty);
    assert_eq!(replica.expire(NOW_S + GRACE_S), 2);
    let status = replica.table().status();
    assert_eq!((status.keys, status.bytes, status.quarantined, status.forms.len()), (0, 0, 0, 0));
    assert_eq!((replica.table().referenced_lanes().len(), status.digest), (0, empty));
}

/// Goal: nodes whose clocks differ agree that their records are equal, although one has removed what the other still has, and what the
/// slower one sends does not come back. Method: the boundary of a record lies between the two clocks; each node leads a proof.
#[test]
fn expired_record_is_no_difference_between_clocks_that_differ() {
    let (early, late) = (NOW_S + GRACE_S - 60, NOW_S + GRACE_S);
    for (leader, clocks) in [(0, [early, late]), (0, [late, early]), (1, [early, late])] {
        let mut pair = Pair::new();
        for (node, now_s) in pair.nodes.iter().zip(clocks) {
            put(&node.replica, b"kiwi", b"1", NOW_S);
            put(&node.replica, b"fig", b"1", NOW_S + 3600);
            assert_eq!(node.replica.expire(now_s), usize::from(now_s == late));
        }
        assert_ne!(pair.records(0), pair.records(1));
        pair.nodes[leader].machine.prove(NOW_S);
        pair.settle();
        assert_eq!((pair.status(leader).proof_age_s, pair.status(leader).repairs), (Some(0), 0), "{leader} {clocks:?}");
        // The slower node has a difference to mend too: the record past its boundary stays out of it.
        put(&pair.nodes[0].replica, b"plum", b"1", 0);
        pair.nodes[leader].machine.prove(NOW_S + 40);
        pair.settle();
        assert_eq!((pair.status(leader).proof_age_s, pair.status(leader).repairs), (Some(0), 1));
        let sent: u64 = [0, 1].map(|index| pair.status(index).reports_sent).iter().sum();
        assert!(sent <= 4, "plum and fig from both, and not the one that is gone: {sent}");
        for node in &pair.nodes {
            let expected = if node.replica.table().now_s() == late { 2 } else { 3 };
            assert_eq!(node.replica.table().status().keys, expected);
            node.replica.expire(late);
        }
        assert_eq!(pair.records(0), pair.records(1));
        assert_eq!(pair.nodes[0].replica.table().status().digest, pair.nodes[1].replica.table().status().digest);
    }
}

#[test]
fn record_past_its_boundary_is_not_taken_from_a_peer() {
    let mut pair = Pair::new();
    pair.nodes[1].replica.expire(NOW_S + GRACE_S);
    let _ = keep(&pair.nodes[0].replica, b"kiwi", b"1", NOW_S);
    let _ = keep(&pair.nodes[0].replica, b"kiwi!", b"1", NOW_S);
    let _ = keep(&pair.nodes[0].replica, b"plum", b"1", NOW_S + 1);
    pair.settle();
    assert_eq!(pair.nodes[1].replica.list(b"", None, 9).len(), 1, "the one whose boundary is a minute later");
    // The claim covers all of them, so that they are not sent again.
    let [left, right] = [0, 1].map(|index| pair.nodes[index].replica.vector().iter().map(|(_, seq)| seq).sum::<u64>());
    assert_eq!(left, right);
    pair.nodes[1].replica.expire(NOW_S);
    put(&pair.nodes[1].replica, b"kiwi", b"1", NOW_S);
    assert_eq!(pair.nodes[1].replica.list(b"", None, 9).len(), 2, "a clock that was set back");
}

#[test]
fn later_expiry_of_one_record_is_kept_everywhere() {
    let mut pair = Pair::new();
    for (index, expires_at) in [NOW_S, NOW_S + 1].into_iter().enumerate() {
        let _ = keep(&pair.nodes[index].replica, b"kiwi", b"1", expires_at);
        let _ = keep(&pair.nodes[index].replica, b"fig", b"1", if index == 0 { 0 } else { NOW_S });
    }
    pair.settle();
    assert_eq!(pair.records(0), pair.records(1));
    assert_eq!(pair.records(0).iter().map(|record| record.expires_at).collect::<Vec<_>>(), [0, NOW_S + 1]);
}

#[test]
fn forgotten_key_is_not_brought_back_by_an_old_peer() {
    let mut pair = Pair::new();
    let _ = keep(&pair.nodes[0].replica, b"kiwi", b"7", 0);
    let keeping = pair.nodes[1].replica.forget(b"kiwi", NOW_S);
    assert!(matches!(keeping.kept, Kept::Applied(_)), "before it heard of the record");
    pair.settle();
    for node in &pair.nodes {
        node.replica.table().set_now(NOW_S - 1);
        assert!(!is_visible(&node.replica, b"kiwi"));
    }
    let forgotten = pair.nodes[0].replica.list(b"", None, 9).remove(0);
    assert_eq!((forgotten.state, forgotten.reign, &*forgotten.origin), (RecordState::Forgotten, 1, "Riley"));
    pair.tick(1000);
    pair.settle();
    assert_eq!((pair.records(0), pair.status(0).repairs), (pair.records(1), 0));
    assert!(!put(&pair.nodes[0].replica, b"kiwi", b"8", 0), "a record of before, whatever its rank");
    let _ = keep(&pair.nodes[0].replica, b"kiwi", b"1", 0);
    pair.settle();
    assert!(pair.nodes.iter().all(|node| is_visible(&node.replica, b"kiwi")), "the next report is shown");
}

#[test]
fn list_is_ordered_bounded_and_continued_behind_a_key() {
    let replica = Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal);
    for number in 0..50 {
        let _ = keep(&replica, format!("k{number:02}").as_bytes(), b"1", 0);
    }
    let _ = keep(&replica, b"other", b"1", 0);
    let page = |after: Option<&[u8]>, limit| {
        let records = replica.list(b"k", after, limit);
        records.into_iter().map(|record| String::from_utf8(record.key).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 3), ["k00", "k01", "k02"]);
    assert_eq!(page(Some(b"k02"), 2), ["k03", "k04"]);
    assert_eq!(page(Some(b"k47"), 9), ["k48", "k49"]);
    assert_eq!((page(None, 99).len(), page(None, 0).len()), (50, 0));
    let record = replica.list(b"other", None, 1).remove(0);
    let Epoch { started_ms, random } = record.epoch;
    assert_eq!((&*record.origin, started_ms, random, record.seq), ("Riley", 1, 1, 51));
    assert_eq!((record.rank, record.form, record.record), (b"1".to_vec(), 1, b"AT".to_vec()));
}

#[test]
fn list_shows_a_quarantined_report_behind_the_readable_record() {
    let mut pair = Pair::new();
    let replica = &pair.nodes[1].replica;
    let _ = keep(replica, b"kiwi!", b"1", 0);
    let _ = keep(&pair.nodes[0].replica, b"kiwi!", b"2", 0);
    pair.settle();
    assert_eq!(states(&pair.nodes[1].replica), [RecordState::Visible, RecordState::Quarantined]);
    assert_eq!(pair.nodes[1].replica.list(b"", None, 1).len(), 2, "both are of the one key");
}

/// Starts a process of Jaquez from a log. Returns what was recovered.
fn start(log: &Log, started_ms: u64) -> (Replica, Recovered) {
    start_with(log, started_ms, 2)
}

fn start_with(log: &Log, started_ms: u64, workers: usize) -> (Replica, Recovered) {
    let entries = log.entries();
    let epoch = Epoch { started_ms, random: started_ms };
    let config = ReplicaConfig { epoch, workers, ..ReplicaConfig::for_tests("Jaquez") };
    let mut replica = Replica::new(config, log.clone());
    let mut recovery = replica.recovery();
    for entry in entries {
        recovery.entry(entry.kind, &entry.payload, true).unwrap();
    }
    let recovered = recovery.finish();
    (replica, recovered)
}

/// Restores a record of another node's backup.
fn restore(into: &Replica, key: &[u8]) {
    let (log, is_own) = (Log::default(), |entry: &LogEntry| entry.kind == JournalKind::Own);
    let (backup, _) = start(&log, 1);
    let _ = keep(&backup, key, b"1", 0);
    let entry = log.entries().into_iter().find(is_own).unwrap();
    assert!(matches!(into.restore(entry.kind, &entry.payload).unwrap().unwrap().kept, Kept::Applied(_)));
}

fn discard(replica: &Replica, since: &NodeMarks, until: &NodeMarks) -> (usize, usize) {
    let Discarded { forgotten, refused } = replica.discard_since(since, until, NOW_S, || {
        replica.flush();
    });
    (forgotten, refused)
}

/// Goal: exactly what this node kept between two moments is forgotten, also when it was restarted between them, before them and after.
/// Method: keeps of three processes over one log, which only names the lanes.
#[test]
fn discarding_forgets_what_this_node_kept_between_two_moments() {
    let log = Log::default();
    let (zeroth, _) = start(&log, 1);
    let _ = keep(&zeroth, b"oldest", b"1", 0);
    drop(zeroth);
    let (first, _) = start(&log, 2);
    let _ = keep(&first, b"old", b"1", 0);
    let _ = keep(&first, b"changed", b"1", 0);
    let since = first.node_marks();
    let _ = keep(&first, b"before", b"1", 0);
    drop(first);
    let (second, _) = start(&log, 3);
    let _ = keep(&second, b"changed", b"2", 0);
    let _ = keep(&second, b"after", b"1", 0);
    let _ = keep(&second, b"again", b"1", 0);
    let _ = second.forget(b"gone", NOW_S);
    restore(&second, b"restored");
    let until = second.node_marks();
    let _ = keep(&second, b"again", b"2", 0);
    let _ = keep(&second, b"new", b"1", 0);
    drop(second);
    let (third, _) = start(&log, 4);
    let _ = keep(&third, b"newest", b"1", 0);
    put(&third, b"peer", b"1", 0);
    assert_eq!(discard(&third, &since, &until), (3, 0));
    let visible = |key: &[u8]| is_visible(&third, key);
    assert!([&b"oldest"[..], b"old", b"peer", b"restored", b"again", b"new", b"newest"].into_iter().all(visible));
    assert!(!visible(b"changed") && !visible(b"before") && !visible(b"after"));
    assert_eq!(third.list(b"after", None, 1)[0].expires_at, NOW_S);
    assert_eq!(discard(&third, &since, &until), (0, 0), "tombstones are not discarded");
    let _ = keep(&third, b"after", b"1", 0);
    assert_eq!((discard(&third, &since, &until), is_visible(&third, b"after")), ((0, 0), true));
}

/// Goal: what operators restored is told from what clients reported by the workers of the process that kept it. Method: a restart with
/// fewer workers, after which the lane of the operators has the number that a worker had before.
#[test]
fn discarding_knows_the_lane_of_the_operators_in_each_process() {
    let log = Log::default();
    let (first, _) = start_with(&log, 1, 3);
    let since = first.node_marks();
    let of_third_worker = NewRecord { key: b"reported", rank: b"1", form: 1, record: b"AT", expires_at: 0, only: None };
    let _ = first.keep(2, of_third_worker);
    restore(&first, b"restored before");
    drop(first);
    let (second, _) = start_with(&log, 2, 2);
    restore(&second, b"restored");
    assert_eq!(discard(&second, &since, &second.node_marks()), (1, 0));
    let visible = [&b"reported"[..], b"restored before", b"restored"].map(|key| is_visible(&second, key));
    assert_eq!(visible, [false, true, true]);
}

/// A keep that is not complete yet belongs behind the marks, or a record of the logic that is left would stay.
#[test]
fn marks_name_each_lane_of_the_process() {
    let replica = Replica::new(ReplicaConfig { workers: 2, ..ReplicaConfig::for_tests("Jaquez") }, NoJournal);
    let _ = keep(&replica, b"kiwi", b"1", 0);
    let _ = keep(&replica, b"plum", b"1", 0);
    let _ = replica.forget(b"fig", NOW_S);
    let marks = replica.node_marks();
    assert_eq!((marks.epoch, marks.seqs), (ReplicaConfig::for_tests("Jaquez").epoch, vec![2, 0, 1]));
}

#[test]
fn sweep_forgets_the_lane_of_an_earlier_process_once_no_record_is_left_of_it() {
    let (replica, port) =
        (Replica::new(ReplicaConfig::for_tests("Jaquez"), NoJournal), LinkPort::new("Riley", 1 << 20, 2, Asleep));
    let riley = |started_ms| Lane { origin: "Riley".into(), epoch: Epoch { started_ms, random: 1 }, worker: 0 };
    let lanes = replica.number_lanes(&[(LaneId(0), riley(1)), (LaneId(1), riley(2))]).unwrap();
    let head = Head { expires_at: NOW_S, ..Head::of(Stamp { lane: lanes[0], seq: 4 }) };
    let report = WireReport { head, key: b"kiwi", reign: 0, rank: b"1", form: 1, record: b"AT", extension: b"" };
    assert!(replica.apply(0, &report, Some(&port), false, &mut Vec::new()));
    replica.merge_claim(&[(lanes[0], 4), (lanes[1], 0)]);
    let swept = || {
        replica.sweep();
        replica.vector().get(lanes[0])
    };
    assert_eq!(swept(), Some(4));
    assert_eq!((replica.expire(NOW_S + GRACE_S), replica.vector().get(lanes[0])), (1, Some(4)));
    assert_eq!((swept(), replica.vector().get(lanes[1])), (None, Some(0)));
}

#[test]
fn discarding_counts_what_the_log_refused() {
    let log = Log::default();
    let (replica, _) = start(&log, 1);
    let since = replica.node_marks();
    let _ = keep(&replica, b"kiwi", b"1", 0);
    let until = replica.node_marks();
    log.fill(true);
    assert_eq!(discard(&replica, &since, &until), (0, 1));
    log.fill(false);
    assert_eq!(discard(&replica, &since, &until), (1, 0));
}

/// Time for which tombstones are kept.
const KEEP_S: u64 = 30 * 24 * 3600;

fn start_as(node: &str, log: &Log, started_ms: u64) -> Replica {
    let epoch = Epoch { started_ms, random: started_ms };
    let entries = log.entries();
    let mut replica = Replica::new(ReplicaConfig { epoch, ..ReplicaConfig::for_tests(node) }, log.clone());
    let mut recovery = replica.recovery();
    entries.iter().for_each(|entry| recovery.entry(entry.kind, &entry.payload, true).unwrap());
    recovery.finish();
    replica
}

fn keys(replica: &Replica) -> Vec<String> {
    let listed = replica.list(b"", None, 99).into_iter();
    listed.map(|record| String::from_utf8(record.key).unwrap()).collect()
}

/// Opens an end of a link to a peer.
fn end_of(replica: &Arc<Replica>, peer: &str) -> LinkMachine {
    let port = LinkPort::new(peer, 1 << 20, 2, Asleep);
    replica.add_link(&port);
    LinkMachine::new(Arc::clone(replica), port)
}

/// Links two nodes, and has the first one hear the greeting of the second. Then the link is down again.
fn meet(nodes: [Replica; 2]) -> ([Replica; 2], Result<(), Violation>) {
    let nodes = nodes.map(Arc::new);
    let (mut machine, mut of_peer) = (end_of(&nodes[0], nodes[1].node()), end_of(&nodes[1], nodes[0].node()));
    let _ = machine.greet();
    let heard = of_peer.greet().frames.into_iter().try_for_each(|frame| machine.hear(frame));
    nodes[0].remove_link(machine.port());
    nodes[1].remove_link(of_peer.port());
    drop((machine, of_peer));
    (nodes.map(|node| Arc::into_inner(node).unwrap()), heard)
}

/// Goal: what was forgotten while a node was away for longer than tombstones are kept stays forgotten, and nothing that the node alone has is
/// lost. Method: a key is forgotten, and its tombstone removed, while Jaquez has no link; both nodes are restarted.
#[test]
fn node_that_was_away_too_long_takes_what_a_peer_covers_from_it() {
    let logs = [Log::default(), Log::default()];
    let mut pair = Pair::of([start_as("Jaquez", &logs[0], 1), start_as("Riley", &logs[1], 1)]);
    let _ = keep(&pair.nodes[0].replica, b"shared", b"1", 0);
    let _ = keep(&pair.nodes[0].replica, b"forgotten", b"1", 0);
    let _ = keep(&pair.nodes[1].replica, b"theirs", b"1", 0);
    pair.settle();
    pair.nodes.iter().for_each(|node| node.replica.note_contact(NOW_S, KEEP_S));
    let [jaquez, riley] = [0, 1].map(|index| &pair.nodes[index].replica);
    jaquez.remove_link(pair.nodes[0].machine.port());
    let _ = keep(jaquez, b"alone", b"1", 0);
    jaquez.note_contact(NOW_S + 9, KEEP_S);
    assert!(matches!(riley.forget(b"forgotten", NOW_S + 60).kept, Kept::Applied(_)));
    let later = NOW_S + KEEP_S + 1;
    // It has another peer all the time.
    riley.note_contact(later, KEEP_S);
    drop(pair);
    let (jaquez, riley) = (start_as("Jaquez", &logs[0], 2), start_as("Riley", &logs[1], 2));
    assert_eq!(riley.expire(later), 1);
    [&jaquez, &riley].into_iter().for_each(|replica| replica.note_contact(later, KEEP_S));
    assert_eq!((jaquez.absent_since_s(), riley.absent_since_s()), (Some(NOW_S), None), "none noted without a link");
    assert_eq!(keys(&jaquez), ["alone", "forgotten", "shared", "theirs"]);
    let ([jaquez, riley], met) = meet([jaquez, riley]);
    assert_eq!(met, Err(Violation::Rejoined { dropped: 3, kept: 1 }));
    assert_eq!((keys(&jaquez), jaquez.absent_since_s()), (vec!["alone".to_owned()], None));
    // A process that ends now drops the same at its start.
    assert_eq!(keys(&start_as("Jaquez", &logs[0], 3)), ["alone"]);
    let pair = Pair::of([jaquez, riley]);
    for node in &pair.nodes {
        assert_eq!(keys(&node.replica), ["alone", "shared", "theirs"], "{}", node.replica.node());
    }
}

/// Goal: a herd that was off for longer than tombstones are kept loses nothing. Method: two nodes that ended within a minute.
#[test]
fn nodes_that_were_away_together_drop_nothing() {
    let logs = [Log::default(), Log::default()];
    let mut pair = Pair::of([start_as("Jaquez", &logs[0], 1), start_as("Riley", &logs[1], 1)]);
    let _ = keep(&pair.nodes[0].replica, b"shared", b"1", 0);
    pair.settle();
    pair.nodes[0].replica.note_contact(NOW_S, KEEP_S);
    pair.nodes[1].replica.note_contact(NOW_S + 60, KEEP_S);
    drop(pair);
    let later = NOW_S + 2 * KEEP_S;
    let replicas = [("Jaquez", &logs[0]), ("Riley", &logs[1])].map(|(node, log)| {
        let replica = start_as(node, log, 2);
        replica.note_contact(later, KEEP_S);
        assert!(replica.absent_since_s().is_some());
        replica
    });
    let pair = Pair::of(replicas);
    for node in &pair.nodes {
        assert_eq!(keys(&node.replica), ["shared"]);
        [later, later + 60].into_iter().for_each(|now_s| node.replica.note_contact(now_s, KEEP_S));
        assert_eq!(node.replica.absent_since_s(), None, "it has a link");
    }
}

/// Goal: what other peers were told that a node covers counts for nothing once it has dropped that. Method: a link that has greeted, a
/// vector that was read and waits for the disk, and a return over another link.
#[test]
fn links_of_before_a_return_end() {
    let jaquez = Arc::new(start_as("Jaquez", &Log::default(), 1));
    let riley = Arc::new(Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal));
    let (mut other, mut of_riley) = (end_of(&jaquez, "Riley"), end_of(&riley, "Jaquez"));
    let _ = keep(&riley, b"kiwi", b"1", 0);
    of_riley.greet().frames.into_iter().for_each(|frame| other.hear(frame).unwrap());
    let lane = jaquez.lanes().since(0).into_iter().find(|(_, lane)| &*lane.origin == "Riley").unwrap().0;
    jaquez.merge_claim(&[(lane, 1)]);
    let (incarnation, vector) = (jaquez.incarnation(), jaquez.vector());
    assert_eq!(jaquez.durable_vector_after(&vector, incarnation).get(lane), Some(1));
    jaquez.note_contact(NOW_S, KEEP_S);
    jaquez.remove_link(other.port());
    jaquez.note_contact(NOW_S + 2 * KEEP_S, KEEP_S);
    assert!(jaquez.rejoin(&Vector::default(), NOW_S + KEEP_S).is_some());
    let durable = || jaquez.durable_vector_after(&jaquez.vector(), jaquez.incarnation()).get(lane);
    assert_eq!((jaquez.vector().get(lane), durable()), (None, None));
    jaquez.checkpoint(&vector, incarnation);
    assert_eq!(durable(), None);
    assert!(other.is_outdated() && !jaquez.merge_claim_in(incarnation, &[(lane, 2)]));
    assert_eq!(other.hear(LinkFrame::Claim(Vec::new())), Err(Violation::Outdated));
    assert_eq!(jaquez.vector().get(lane), None);
    // A snapshot takes the contact along.
    let (mut snapshot, mut kinds) = (jaquez.snapshot(), Vec::new());
    while snapshot.next(|kind, _| kinds.push(kind)) {}
    assert!(kinds.contains(&JournalKind::Contact));
}

/// Goal: a record whose epoch the peer has left, because it has no record of it any more, does not come back, also if this
/// node kept it. Method: records of two epochs of Juzang, of which the peer knows the later one alone, and of three earlier processes of the node,
/// of which it knows the second one.
#[test]
fn epoch_that_a_peer_has_left_counts_as_covered() {
    let jaquez = start_as("Jaquez", &Log::default(), 5);
    let port = LinkPort::new("Riley", 1 << 20, 2, Asleep);
    let lane = |origin: &str, started_ms| {
        let epoch = Epoch { started_ms, random: 1 };
        Lane { origin: origin.into(), epoch, worker: 0 }
    };
    let lanes = [("Juzang", 1), ("Juzang", 2), ("Jaquez", 1), ("Jaquez", 2), ("Jaquez", 3), ("Campbell", 1)];
    let lanes = lanes.map(|(origin, started_ms)| lane(origin, started_ms));
    let lanes: Vec<(LaneId, Lane)> = (0..).map(LaneId).zip(lanes).collect();
    let ids = jaquez.number_lanes(&lanes).unwrap();
    let records = [
        ("left", 0, 1),
        ("covered", 1, 3),
        ("later", 1, 4),
        ("own left", 2, 1),
        ("own later", 4, 1),
        ("unknown", 5, 1),
    ];
    for (key, lane, seq) in records {
        let head = Head::of(Stamp { lane: ids[lane], seq });
        let report =
            WireReport { head, key: key.as_bytes(), reign: 0, rank: b"1", form: 1, record: b"AT", extension: b"" };
        assert!(jaquez.apply(0, &report, Some(&port), false, &mut Vec::new()));
    }
    assert_eq!(jaquez.drop_covered(&[(ids[1], 3), (ids[3], 1)].into_iter().collect()), 3);
    assert_eq!(keys(&jaquez), ["later", "own later", "unknown"]);
}

/// Goal: what a node kept since its start, shortly before it met the peer, stays. Method: two processes, one that began in the absence and one
/// before it, whose own record the peer covers.
#[test]
fn node_drops_nothing_that_it_kept_since_a_start_in_the_absence() {
    for (started_s, dropped) in [(NOW_S + KEEP_S, 0), (NOW_S - 1, 1)] {
        let log = Log::default();
        let jaquez = start_as("Jaquez", &log, started_s * 1000);
        let port = LinkPort::new("Riley", 1 << 20, 2, Asleep);
        jaquez.add_link(&port);
        port.counts.greeted.store(true, std::sync::atomic::Ordering::Relaxed);
        jaquez.note_contact(NOW_S, KEEP_S);
        jaquez.remove_link(&port);
        jaquez.note_contact(NOW_S + 2 * KEEP_S, KEEP_S);
        let _ = keep(&jaquez, b"kiwi", b"1", 0);
        let rejoined = jaquez.rejoin(&jaquez.vector(), NOW_S + KEEP_S).unwrap();
        assert_eq!((rejoined.dropped, keys(&jaquez).len()), (dropped, 1 - dropped), "{started_s}");
        assert_eq!(
            keys(&start_as("Jaquez", &log, started_s * 1000 + 1)),
            keys(&jaquez),
            "and the next process neither"
        );
    }
}
