//! Canaries: a candidate that decides for a sticky share of the sessions, and how it is widened, promoted, cancelled or ended.

use std::sync::Arc;

use herd_model::SwapOptions;
use herd_replication::{NoJournal, Replica, ReplicaConfig};
use herd_runtime::{Engine, GenerationRegistry, Limits, SwapLimits};
use herd_sdk::Settings;
use herd_tests::{Client, DEFAULT_GUEST, Fixture, HELLO, Herd, WATCH};
use serde_json::Value;

/// Goal: a session stays with its generation while the share is unchanged, widening only adds sessions, and a cancelled canary
/// decides none. Method: sixty sessions, each asked in every phase which guest answers it.
#[test]
fn canary_share_is_sticky_and_can_be_widened_and_cancelled() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut sessions: Vec<Client> = (0..60).map(|_| herd.client("Riley")).collect();
    let mut heard = || sessions.iter_mut().map(|session| session.ask("you") == "hello, you").collect::<Vec<_>>();
    assert_eq!(of_canary(&heard()), 0);
    herd.swap_with(HELLO, &["--canary", "20%"]).unwrap();
    let few = heard();
    assert!((3..=24).contains(&of_canary(&few)), "{few:?}");
    assert_eq!(heard(), few, "the same sessions again");
    let canary = canary(&herd);
    assert_eq!((&canary["share_percent"], &canary["candidate"]["name"]), (&20.into(), &"hello".into()));
    assert_eq!(canary["decided"], 2 * of_canary(&few));

    said(&herd, &["canary", "widen", "60%"], "Riley: generation 2 (");
    let more = heard();
    assert!(of_canary(&more) > of_canary(&few), "{more:?}");
    assert!(few.iter().zip(&more).all(|(few, more)| more >= few), "a session of the canary stays with it");
    let report = said(&herd, &["canary", "report"], "node ");
    assert!(report.contains("60%"), "{report}");

    let shown = said(&herd, &["status"], "node ");
    assert!(shown.contains("canary ") && shown.contains(" 60%"), "{shown}");

    said(&herd, &["canary", "cancel"], "Riley: generation 2 (");
    assert_eq!(of_canary(&heard()), 0);
    assert!(herd.status("Riley")["generations"]["canary"].is_null());
    let missing = herd.herd(&["canary", "cancel"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("Riley: no guest is a canary on this node"));
}

/// Goal: a promotion makes the canary the active generation of every node under its existing id, so it was not loaded again,
/// and it can be rolled back like any swap. Method: a canary of 100 % on five nodes.
#[test]
fn canary_promotion_activates_it_on_every_node_without_loading_it_again() {
    let herd = Herd::of_five();
    let _up = herd.up();
    herd.swap_with(HELLO, &["--canary", "100%"]).unwrap();
    for node in herd.names() {
        assert_eq!(herd.client(node).ask("you"), "hello, you", "{node}");
    }
    let said = said(&herd, &["canary", "promote"], "");
    for node in herd.names() {
        assert!(said.contains(&format!("{node}: generation 2 (")), "{said}");
        let generations = &herd.status(node)["generations"];
        assert!(generations["canary"].is_null());
        assert_eq!((&generations["active"]["id"], &generations["previous"]["id"]), (&2.into(), &1.into()));
    }
    assert_eq!(herd.status("Juzang")["herd"]["swap"]["number"], 1);
    let again = herd.herd(&["canary", "promote"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("no guest is a canary on this node"));
    assert!(herd.herd(&["rollback"]).status.success());
    assert_eq!(herd.client("Bernard").ask("you"), "? you");
}

/// Goal: a node without the canary rehearses the transcripts that came beside it before it takes part in the promotion. Method: a
/// canary on one node of two, with a transcript, and what the audit log of the other one says of its rehearsal.
#[test]
fn canary_promotion_brings_the_transcripts_beside_it_to_every_node() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    let transcript = herd.scratch().write("greeting.herd", "input \"you\\n\"\n  reply \"hello, you\\n\"\n");
    let transcript = transcript.to_string_lossy();
    herd.swap_with(HELLO, &["--canary", "100%", "--node", "Jaquez", "--transcripts", &transcript]).unwrap();
    herd.operator("Jaquez").promote_canary().unwrap();
    let audit: Value = serde_json::from_slice(&herd.herd(&["audit", "--json"]).stdout).unwrap();
    assert_eq!(audit["Riley"].to_string().matches("1 transcripts and").count(), 1, "{audit}");
    assert_eq!(herd.client("Riley").ask("you"), "hello, you");
}

/// Goal: no client sees a fault of a canary; too many faults end the canary, release its instances and block the guest. Method:
/// a guest that traps on one line and a limit of three faults.
#[test]
fn canary_faults_are_rescued_by_the_active_generation_and_too_many_end_it() {
    let herd = Herd::of_one().with_guest(HELLO).with("swap.faults_max=3");
    let up = herd.up();
    herd.swap_with(Fixture::Trap, &["--canary=100%"]).unwrap();
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("you"), "trap: you");
    for _ in 0..2 {
        assert_eq!(client.ask("BOOM"), "hello, BOOM");
    }
    assert_eq!(canary(&herd)["rescued"], 2);
    client.send("BOOM\nyou\n");
    assert_eq!((client.line(), client.line()), ("hello, BOOM".into(), "hello, you".into()));
    assert_eq!(client.ask("you"), "hello, you");
    up.await_log(&["ERROR", "canary failed and ended", "3 faults within 10 s as a canary"]);
    let status = herd.await_status("Riley", "no canary", |status| {
        status["generations"]["canary"].is_null() && status["engine"]["instances"]["alive"].get("2").is_none()
    });
    assert_eq!(status["generations"]["active"]["id"], 1);
    let again = herd.swap_with(Fixture::Trap, &["--canary=5%"]).unwrap_err();
    assert!(again.contains("failed its probation here, with 3 faults within 10 s as a canary"), "{again}");
    herd.await_audited("Riley", &["ended by itself: 3 faults within 10 s as a canary"]);
}

/// Goal: a node has at most one candidate, canary or shadow, and a swap to another guest ends it, even a refused swap. Method:
/// a second candidate of each kind beside each kind, then swaps.
#[test]
fn candidate_is_unique_and_a_swap_to_another_guest_ends_it() {
    let herd = Herd::of_one();
    let _up = herd.up();
    herd.swap_with(HELLO, &["--canary", "5%"]).unwrap();
    for arguments in [["--shadow", "50%"], ["--canary", "50%"]] {
        let said = herd.swap_with(WATCH, &arguments).unwrap_err();
        assert!(said.contains("is already the canary; herd canary cancel ends it"), "{said}");
    }
    herd.swap_with(Fixture::Greedy, &[]).unwrap_err();
    assert!(
        herd.status("Riley")["generations"]["canary"].is_null(),
        "a swap to another guest ends the canary, even one that is refused"
    );
    herd.swap_with(WATCH, &["--shadow", "50%"]).unwrap();
    let said = herd.swap_with(HELLO, &["--canary", "5%"]).unwrap_err();
    assert!(said.contains("is already the shadow; herd shadow stop ends it"), "{said}");
    assert!(herd.herd(&["shadow", "stop"]).status.success());
    herd.swap_with(HELLO, &["--canary", "5%"]).unwrap();
    herd.swap(DEFAULT_GUEST, &[]).unwrap();
    let generations = herd.status("Riley")["generations"].clone();
    assert!(generations["canary"].is_null(), "{generations}");
    let alive = herd.status("Riley")["engine"]["instances"]["alive"].as_object().unwrap().len();
    assert!(alive <= 2, "{alive} generations have instances");
}

#[test]
fn canary_that_one_node_refuses_starts_on_none() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    herd.swap_with(WATCH, &["--canary", "5%", "--node", "Jaquez"]).unwrap();
    let said = herd.swap_with(HELLO, &["--canary", "50%"]).unwrap_err();
    assert!(said.contains("Jaquez: another guest (") && !said.contains("Riley"), "{said}");
    assert!(herd.status("Riley")["generations"]["canary"].is_null());
    assert_eq!(canary_of(&herd, "Jaquez")["share_percent"], 5, "the existing canary stays");
}

#[test]
fn canary_whose_records_other_generations_cannot_read_is_refused() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let said = herd.swap_with(Fixture::NoWayBack, &["--canary", "5%"]).unwrap_err();
    assert!(said.contains("forms.downgrade"), "{said}");
    herd.swap_with(Fixture::SecondForm, &["--canary", "50%"]).unwrap();
    let mut sessions: Vec<Client> = (0..40).map(|_| herd.client("Riley")).collect();
    for (number, session) in sessions.iter_mut().enumerate() {
        assert!(session.ask(&format!("IAMAT both-{number} +34-118 1")).starts_with("AT Riley "));
    }
    for session in &mut sessions {
        for number in 0..40 {
            let (at, _) = session.ask_places(&format!("WHATSAT both-{number} 1 1"));
            assert!(at.starts_with("AT Riley "), "{at}");
        }
    }
}

#[test]
fn canary_of_another_guest_delays_no_swap_and_logs_no_warning() {
    let herd = Herd::of_one();
    let up = herd.up();
    herd.swap_with(HELLO, &["--canary", "50%"]).unwrap();
    herd.swap(WATCH, &[]).unwrap();
    let log = up.log();
    assert!(!log.contains("retired generation"), "{log}");
    assert!(!log.contains("WARN"), "{log}");
}

/// Goal: the end of a canary does not wait for its promotion, which holds its generation. Method: a cancellation between the two
/// steps of the promotion, which then goes on or is abandoned.
#[test]
fn canary_cancelled_during_its_promotion_ends_at_once() {
    let engine = Engine::new(Limits::default()).unwrap();
    let records = Arc::clone(Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal).table());
    let [first, hello] = [WATCH, HELLO].map(|path| std::fs::read(path).unwrap());
    let settings = Settings { node: "Riley".into(), table: vec![] };
    let generations = GenerationRegistry::new(&engine, &first, None, settings, SwapLimits::default(), records).unwrap();
    let options = SwapOptions::default();
    for is_promoted in [false, true] {
        generations.begin_canary(hello.as_slice().into(), "5%".parse().unwrap(), options).unwrap();
        let promoted = generations.prepare(hello.as_slice().into(), options).unwrap();
        generations.end_canary().unwrap();
        assert!(generations.status().canary.is_none());
        assert!(generations.drain_retired(), "nothing is waited for");
        if is_promoted {
            assert_eq!(generations.activate(promoted).unwrap().name, "hello");
        } else {
            drop(promoted);
            assert!(generations.drain_retired());
            assert_eq!(generations.resources().0.alive.len(), 1, "the abandoned candidate is gone");
        }
    }
    assert!(generations.drain_retired());
    assert_eq!(generations.resources().0.alive.len(), 2);
}

/// Goal: the report shows how many sessions a canary has, not only their calls. Method: quiet sessions under several shares.
#[test]
fn canary_report_counts_sessions_and_tells_when_the_share_is_none_of_them() {
    let herd = Herd::of_one().with_guest(HELLO);
    let _up = herd.up();
    // The first session belongs to every share, so it must be gone. Its answer says that it was the first: another worker may be quicker to
    // take the connection behind it.
    assert_eq!(herd.client("Riley").ask("nobody"), "hello, nobody");
    let mut session = herd.client("Riley");
    assert_eq!(session.ask("you"), "hello, you");
    herd.await_status("Riley", "one session", |status| status["sessions"]["open"] == 1);
    herd.swap_with(Fixture::Trap, &["--canary", "1%"]).unwrap();
    assert_eq!((&canary(&herd)["sessions"], &canary(&herd)["sessions_open"]), (&0.into(), &1.into()));
    let report = said(&herd, &["canary", "report"], "node");
    assert!(report.contains("1% of 1 session on Riley is none of them"), "{report}");
    said(&herd, &["canary", "widen", "100%"], "Riley");
    assert_eq!((&canary(&herd)["sessions"], &canary(&herd)["decided"]), (&1.into(), &0.into()));
    let report = said(&herd, &["canary", "report"], "node");
    assert!(report.contains("1 of 1") && !report.contains("none of them"), "{report}");
}

/// Number of answers given by `hello`.
fn of_canary(heard: &[bool]) -> usize {
    heard.iter().filter(|hello| **hello).count()
}

fn canary(herd: &Herd) -> Value {
    canary_of(herd, "Riley")
}

fn canary_of(herd: &Herd, node: &str) -> Value {
    herd.status(node)["generations"]["canary"].clone()
}

/// Runs a command that must succeed and print this beginning; returns its output.
fn said(herd: &Herd, arguments: &[&str], beginning: &str) -> String {
    let output = herd.herd(arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.starts_with(beginning), "{arguments:?}: {said}{errors}");
    said
}
