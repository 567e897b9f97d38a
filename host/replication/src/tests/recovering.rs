//! Recovery of a process from the log of earlier ones, entry by entry.

use super::pair::Log;
use crate::journal::JournalKind;
use crate::lanes::{LANES_MAX, Lane};
use crate::link_frame::{encode_lanes, encode_seqs};
use crate::recovery::Recovered;
use crate::replica::{Replica, ReplicaConfig};
use crate::stamp::{Epoch, LaneId, Stamp};
use crate::wire_report::{Head, WireReport};

/// Entry of a log, and whether it stands in front of all damage.
struct Entry(JournalKind, Vec<u8>, bool);

fn lane(origin: &str) -> Lane {
    Lane { origin: origin.into(), epoch: Epoch { started_ms: 9, random: 9 }, worker: 0 }
}

/// Definition of a lane number.
fn lanes(number: u32, origin: &str) -> Entry {
    let mut payload = Vec::new();
    encode_lanes(&mut payload, &[(LaneId(number), lane(origin))]);
    Entry(JournalKind::Lanes, payload, true)
}

fn vector(number: u32, seq: u64) -> Entry {
    let mut payload = Vec::new();
    encode_seqs(&mut payload, [(LaneId(number), seq)]);
    Entry(JournalKind::Vector, payload, true)
}

/// Record in a lane of this number.
fn record(kind: JournalKind, number: u32, seq: u64, key: &str, rank: &[u8], expires_at: u64) -> Entry {
    let head = Head { expires_at, ..Head::of(Stamp { lane: LaneId(number), seq }) };
    let mut payload = Vec::new();
    WireReport { head, key: key.as_bytes(), reign: 0, rank, form: 1, record: b"AT", extension: b"" }
        .encode(&mut payload);
    Entry(kind, payload, true)
}

fn report(key: &str, rank: &[u8], expires_at: u64) -> Entry {
    record(JournalKind::Report, 0, 1, key, rank, expires_at)
}

fn behind_damage(entry: Entry) -> Entry {
    Entry(entry.0, entry.1, false)
}

/// Recovers Jaquez, whose clock says an earlier time than that of the process before, at a time in seconds.
fn recover(entries: &[Entry], now_s: u64) -> (Replica, Recovered) {
    let mut replica = Replica::without_log(ReplicaConfig::for_tests("Jaquez"));
    let mut recovery = replica.recovery().at(now_s);
    for Entry(kind, payload, intact) in entries {
        recovery.entry(*kind, payload, *intact).unwrap();
    }
    let recovered = recovery.finish();
    (replica, recovered)
}

/// A damaged entry whose checksum holds, or a directory that was never ours, must not make a node reserve gigabytes.
#[test]
fn recovery_refuses_a_lane_number_that_no_process_gives() {
    let mut replica = Replica::without_log(ReplicaConfig::for_tests("Jaquez"));
    let mut recovery = replica.recovery();
    for (number, is_taken) in [(LANES_MAX - 1, true), (LANES_MAX, false), (u32::MAX, false)] {
        let Entry(kind, payload, intact) = lanes(number, "Riley");
        assert_eq!(recovery.entry(kind, &payload, intact).is_ok(), is_taken, "{number}");
    }
}

/// Keys with the name of the node that reported them and their ranks.
fn listed(replica: &Replica) -> Vec<(String, String, Vec<u8>)> {
    let listed = replica.list(b"", None, 99).into_iter();
    listed.map(|record| (String::from_utf8(record.key).unwrap(), record.origin.to_string(), record.rank)).collect()
}

#[test]
fn recovered_node_covers_what_its_log_says_in_a_new_epoch() {
    let own = record(JournalKind::Own, 1, 3, "kiwi", b"1", 0);
    let damaged = behind_damage(vector(0, 99));
    let (replica, recovered) = recover(&[lanes(0, "Riley"), lanes(1, "Jaquez"), vector(0, 5), own, damaged], 0);
    let covered = |origin| replica.vector().get(replica.lanes().id(&lane(origin)).unwrap());
    assert_eq!((covered("Riley"), covered("Jaquez")), (Some(5), Some(3)));
    assert_eq!((replica.node_marks().epoch.started_ms, recovered.records), (10, 1), "behind the epoch of the log");
}

/// Goal: records are of the lanes as they were where the log has them, and are there before what comes later in the log. Method: a log of
/// two processes, which gave one number to two lanes.
#[test]
fn recovery_takes_entries_in_the_order_of_the_log() {
    let entries = [lanes(0, "Riley"), report("kiwi", b"1", 0), lanes(0, "Juzang"), report("plum", b"1", 0)];
    let (replica, _) = recover(&entries, 0);
    let expected = [("kiwi", "Riley"), ("plum", "Juzang")];
    assert_eq!(listed(&replica), expected.map(|(key, origin)| (key.into(), origin.into(), b"1".to_vec())));
    // What was covered is dropped where the log says so, and what comes later stays.
    for (is_intact, expected) in [(true, &["plum"][..]), (false, &["kiwi", "plum"])] {
        let Entry(_, covered, _) = vector(0, 99);
        let rejoin = Entry(JournalKind::Rejoin, covered, is_intact);
        let (replica, _) = recover(&[lanes(0, "Riley"), report("kiwi", b"1", 0), rejoin, report("plum", b"1", 0)], 0);
        let keys: Vec<String> = listed(&replica).into_iter().map(|(key, ..)| key).collect();
        assert_eq!(keys, expected);
    }
    // A lower record behind damage comes too late.
    let (replica, recovered) =
        recover(&[lanes(0, "Riley"), report("kiwi", b"2", 0), behind_damage(report("kiwi", b"1", 0))], 0);
    assert_eq!((recovered.records, recovered.restamped), (2, 0));
    assert_eq!(listed(&replica), [("kiwi".into(), "Riley".into(), b"2".to_vec())]);
}

/// Goal: a record that was kept once a higher one had been removed does not lose to it. Method: the boundary of the higher one, which
/// expired at 60, is at 660.
#[test]
fn record_below_one_that_was_removed_at_its_boundary_is_recovered() {
    for kind in [JournalKind::Report, JournalKind::Quarantined] {
        for (expires_at, now_s, rank) in [(60, 660, b"1"), (60, 659, b"9"), (60, 0, b"9"), (0, 660, b"9")] {
            let of = |seq, rank, expires_at| record(kind, 0, seq, "kiwi", rank, expires_at);
            let (replica, recovered) = recover(&[lanes(0, "Riley"), of(1, b"9", expires_at), of(2, b"1", 0)], now_s);
            let expected = [("kiwi".into(), "Riley".into(), rank.to_vec())];
            assert_eq!((listed(&replica), recovered.records), (expected.to_vec(), 2), "{expires_at} {now_s}");
        }
    }
}

/// Goal: the log of a process defines every lane that it may refer to, and not those of which nothing is left, which would otherwise become more
/// with each start of each node. Method: lanes of a record, of a vector, of nothing, and of the node's own process before, which made no keep.
#[test]
fn recovery_defines_the_lanes_that_are_in_use_in_the_log_of_its_own_process() {
    let log = Log::default();
    let mut replica = Replica::new(ReplicaConfig::for_tests("Jaquez"), log.clone());
    log.clear();
    let mut recovery = replica.recovery();
    let named = ["Riley", "Juzang", "Campbell", "Jaquez"];
    let entries = (0..).zip(named).map(|(number, origin)| lanes(number, origin));
    let entries = entries.chain([record(JournalKind::Report, 0, 1, "kiwi", b"1", 0), vector(1, 5)]);
    for Entry(kind, payload, _) in entries {
        recovery.entry(kind, &payload, true).unwrap();
    }
    recovery.finish();
    let entries = log.entries();
    assert_eq!(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>(), [JournalKind::Lanes]);
    let defined = crate::link_frame::decode_lanes(&entries[0].payload).unwrap();
    let is_defined = |origin| defined.iter().any(|(_, defined)| *defined == lane(origin));
    assert_eq!(named.map(is_defined), [true, true, false, true]);
}
