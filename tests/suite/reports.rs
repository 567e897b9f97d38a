//! Reports that a guest refuses or faults on: quarantined, counted, and offered to the next generation.

use std::sync::Arc;

use herd_replication::{NoJournal, Replica, ReplicaConfig};
use herd_runtime::{Engine, Fault, GenerationRegistry, Limits, SwapLimits};
use herd_sdk::{Moment, Report, Settings};
use herd_tests::{DEFAULT_GUEST, Fixture, Herd};

/// Three nodes in a row: a report at Riley reaches Juzang only through Jaquez.
fn row() -> Herd {
    Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])])
}

/// Goal: a quarantined report is kept by rank, is hidden where it is quarantined alone, and becomes visible there with a good guest.
/// Method: the node in the middle of three has the same bad guest as active and as previous generation, so that no generation can
/// rescue the call. The node behind it has a good guest and gets the report all the same. Digests are compared before and after.
#[test]
fn quarantine_holds_a_report_that_no_generation_survives_until_one_does() {
    for (fixture, client, faults) in [
        (Fixture::Refuser, "refuse-kiwi", false),
        (Fixture::Refuser, "trap-kiwi", true),
        // This guest returns one verdict too many for any report.
        (Fixture::Liar, "kiwi", true),
    ] {
        let herd = row();
        let _up = herd.up();
        herd.swap(fixture, &["Jaquez"]).unwrap();
        herd.swap(fixture, &["Jaquez"]).unwrap();
        let at = herd.client("Riley").ask(&format!("IAMAT {client} +34-118 1"));
        let status =
            herd.await_status("Jaquez", "a quarantined report", |status| status["records"]["quarantined"] == 1);
        assert_eq!(status["records"]["digest"], herd.digest("Riley"), "a quarantined report counts in the digest");
        let trapped = |which: &str| status["generations"][which]["faults"].as_u64().unwrap() > 0;
        assert_eq!((trapped("active"), trapped("previous")), (faults, faults), "{status}");
        assert!(!herd.knows("Jaquez", client), "a quarantined report is hidden");
        herd.await_known(client, &["Juzang"]);
        assert_eq!(herd.digest("Juzang"), herd.digest("Riley"));

        herd.swap(DEFAULT_GUEST, &["Jaquez"]).unwrap();
        assert_eq!(herd.status("Jaquez")["records"]["quarantined"], 0);
        assert_eq!(herd.client("Jaquez").ask_places(&format!("WHATSAT {client} 1 1")).0, at);
        assert_eq!(herd.digest("Jaquez"), herd.digest("Riley"));
    }
}

#[test]
fn quarantine_hides_a_report_and_keeps_the_earlier_record_readable() {
    let herd = row();
    let _up = herd.up();
    let first = herd.client("Riley").ask("IAMAT trap-kiwi +34-118 1");
    herd.await_known("trap-kiwi", &herd.names());
    for _ in 0..2 {
        // A rehearsal would refuse the guest, because it faults on the first report.
        herd.swap_with(Fixture::Refuser, &["--node", "Jaquez", "--unrehearsed"]).unwrap();
    }
    let _ = herd.client("Riley").ask("IAMAT trap-kiwi +35-118 2");
    herd.await_status("Jaquez", "a quarantined report", |status| status["records"]["quarantined"] == 1);
    assert_eq!(herd.client("Jaquez").ask_places("WHATSAT trap-kiwi 1 1").0, first);
    assert_eq!(herd.digest("Jaquez"), herd.digest("Riley"));
    assert!(!herd.knows("Jaquez", "refuse-nobody"));
}

/// Goal: one bad report costs the others of its batch nothing. Method: many reports in one packet, so that many share a frame, and
/// one among them on which the guest traps.
#[test]
fn quarantine_takes_only_the_faulting_report_of_a_batch() {
    let herd = row();
    let _up = herd.up();
    herd.swap(Fixture::Refuser, &["Jaquez"]).unwrap();
    herd.swap(Fixture::Refuser, &["Jaquez"]).unwrap();
    let name = |number| if number == 137 { "trap-137".to_string() } else { format!("kiwi-{number}") };
    let lines: String = (0..300).map(|number| format!("IAMAT {} +34-118 1\n", name(number))).collect();
    let mut client = herd.client("Riley");
    client.send(lines);
    for _ in 0..300 {
        assert!(client.line().starts_with("AT Riley "));
    }
    let whole = |status: &serde_json::Value| status["records"]["keys"] == 299 && status["records"]["quarantined"] == 1;
    herd.await_status("Jaquez", "299 records and one quarantined", whole);
    // Jaquez keeps what its guest cannot take, and the node behind it, whose guest can, gets it all the same.
    herd.await_status("Juzang", "all records", |status| status["records"]["keys"] == 300);
    assert!(herd.knows("Juzang", "trap-137"));
    assert_eq!(herd.digest("Juzang"), herd.digest("Riley"));
    assert_eq!(herd.digest("Jaquez"), herd.digest("Riley"));
}

#[test]
fn report_fault_is_rescued_by_the_previous_generation() {
    let herd = row();
    let _up = herd.up();
    herd.swap(Fixture::Refuser, &["Jaquez"]).unwrap();
    let _ = herd.client("Riley").ask("IAMAT trap-kiwi +34-118 1");
    herd.await_known("trap-kiwi", &herd.names());
    let status = herd.status("Jaquez");
    assert_eq!((&status["records"]["quarantined"], &status["generations"]["rescued"]), (&0.into(), &1.into()));
}

/// Goal: reports may be offered again from a thread outside of any runtime. Method: a guest that sleeps over a report, which takes
/// a timer, called on the thread of this test.
#[test]
fn quarantine_is_offered_again_outside_a_runtime_to_a_guest_that_sleeps() {
    let engine = Engine::new(Limits::default()).unwrap();
    let records = Arc::clone(Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal).table());
    let guest = std::fs::read(Fixture::Refuser.path()).unwrap();
    let settings = Settings { node: "Riley".into(), table: vec![] };
    let generations = GenerationRegistry::new(&engine, &guest, None, settings, SwapLimits::default(), records).unwrap();
    let report = Report {
        key: b"sleep-kiwi",
        rank: b"1",
        form: 1,
        bytes: b"AT Riley +0.1 sleep-kiwi +34-118 1",
        origin: b"Riley",
    };
    let fault = generations.reports(Moment::default(), &[report]).unwrap_err();
    assert_eq!(fault, Fault::Slept);
}
