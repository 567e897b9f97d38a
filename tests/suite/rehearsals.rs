//! Rehearsals: a candidate decides recorded calls and transcripts before it serves, and is refused if one faults or differs.

use herd_model::Digest;
use herd_tests::{DEFAULT_GUEST, Fixture, HELLO, Herd};
use serde_json::Value;

/// Goal: a guest that faults on recently recorded input is refused and the error quotes the line, unless the rehearsal is
/// skipped. Method: a hundred harmless lines and one on which the candidate traps.
#[test]
fn rehearsal_refuses_a_guest_that_faults_on_recent_input_and_quotes_the_line() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut client = herd.client("Riley");
    for number in 0..100 {
        assert_eq!(client.ask(&format!("hello {number}")), format!("? hello {number}"));
    }
    herd.swap(Fixture::Trap, &[]).unwrap();
    herd.swap(DEFAULT_GUEST, &[]).unwrap();
    assert_eq!(client.ask("BOOM"), "? BOOM");
    let before = herd.status("Riley")["generations"].clone();
    let said = herd.swap(Fixture::Trap, &[]).unwrap_err();
    assert!(
        said.contains("Riley: not rehearsed: it faults on a line from a client of this node, \"BOOM\\n\": trapped"),
        "{said}"
    );
    assert_eq!(herd.status("Riley")["generations"], before, "nothing changed");
    herd.swap_with(Fixture::Trap, &["--unrehearsed"]).unwrap();
    assert_eq!(client.ask("BOOM"), "? BOOM", "the previous generation decides it");
}

/// Goal: a rehearsal uses the records as the recorded call read them, so that later records neither refuse nor accept a guest.
/// Method: lookups of one client before and after its first report, each followed by a rehearsal that has to pass.
#[test]
fn rehearsal_uses_the_records_of_the_recorded_call() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("WHATSAT peeked 1 1"), "? WHATSAT peeked 1 1");
    assert!(client.ask("IAMAT peeked +34-118 1").starts_with("AT "));
    herd.swap(DEFAULT_GUEST, &[]).unwrap();
    assert_eq!(client.ask_places("WHATSAT peeked 1 1").0.split(' ').next(), Some("AT"));
    herd.swap(DEFAULT_GUEST, &[]).unwrap();
}

#[test]
fn rehearsal_runs_the_transcripts_that_come_with_a_guest() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let transcript = herd.scratch().write("greeting.herd", "input \"you\\n\"\n  reply \"hello, you\\n\"\n");
    let transcript = transcript.to_string_lossy();
    let said = herd.swap_with(DEFAULT_GUEST, &["--transcripts", &transcript]).unwrap_err();
    assert!(
        said.contains("Riley: not rehearsed: its transcript ") && said.contains("greeting.herd does not hold"),
        "{said}"
    );
    assert!(said.contains("+   reply \"? you"), "the refusal quotes the actual reply: {said}");
    assert_eq!(herd.client("Riley").ask("you"), "? you", "nothing changed");
    herd.swap_with(HELLO, &["--transcripts", &transcript]).unwrap();
    assert_eq!(herd.client("Riley").ask("you"), "hello, you");
}

/// Goal: a guest that leaves complete lines is refused; once it serves all the same and is rolled back, every session has the
/// answers that it waits for, and none is closed for a line over the limit. Method: sessions for each thing that the guest awaits,
/// with a line that it has seen.
#[test]
fn rehearsal_refuses_a_guest_that_consumes_nothing_and_a_rollback_answers_its_sessions() {
    let herd = Herd::of_one();
    let _up = herd.up();
    assert_eq!(herd.client("Riley").ask("hello"), "? hello");
    let said = herd.swap(Fixture::Hoarder, &[]).unwrap_err();
    assert!(
        said.contains(
            "it consumes nothing of a line from a client of this node that the active guest consumes, \"hello\\n\""
        ),
        "{said}"
    );
    herd.swap_with(Fixture::Hoarder, &["--unrehearsed"]).unwrap();
    let awaited = ["a byte", "10000 bytes", "1073741824 bytes"];
    let mut sessions = awaited.map(|_| herd.client("Riley"));
    for (session, line) in sessions.iter_mut().zip(awaited) {
        session.send(format!("{line}\nrest"));
        assert_eq!(session.line(), "seen");
    }
    assert!(herd.herd(&["rollback"]).status.success());
    for (session, line) in sessions.iter_mut().zip(awaited) {
        assert_eq!(session.line(), format!("? {line}"));
        assert_eq!(session.ask(" of it"), "? rest of it");
    }
}

/// Goal: transcripts that come beside a guest are run on every node, also one that adopts the swap later, and the digest that
/// serves is that of the guest's file. Method: a herd of two, one of which is down during the swap.
#[test]
fn transcripts_beside_a_guest_reach_every_node_and_leave_its_digest() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let (_riley, mut jaquez) = (herd.run("Riley"), herd.run("Jaquez"));
    herd.await_linked(&["Riley", "Jaquez"]);
    let good = herd.scratch().write("good.herd", "input \"you\\n\"\n  reply \"hello, you\\n\"\n");
    let bad = herd.scratch().write("bad.herd", "input \"you\\n\"\n  reply \"goodbye\\n\"\n");
    let said = herd.swap_with(HELLO, &["--transcripts", &bad.to_string_lossy()]).unwrap_err();
    assert!(said.contains("not rehearsed: its transcript "), "{said}");
    jaquez.terminate();
    jaquez.wait();
    herd.swap_with(HELLO, &["--transcripts", &good.to_string_lossy()]).unwrap();
    let _jaquez = herd.run("Jaquez");
    let digest = Digest::of(&std::fs::read(HELLO).unwrap()).to_string();
    for node in ["Riley", "Jaquez"] {
        herd.await_serving(&digest[..8], &[node]);
        assert_eq!(herd.status(node)["generations"]["active"]["digest"], digest, "{node}");
    }
    let audit: Value = serde_json::from_slice(&herd.herd(&["audit", "--json"]).stdout).unwrap();
    let rehearsed = |node: &str| audit[node].to_string().matches("1 transcripts and").count();
    assert_eq!((rehearsed("Riley"), rehearsed("Jaquez")), (1, 1), "{audit}");
}
