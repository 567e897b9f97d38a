//! Swaps while sessions are open, lines are unfinished, fetches are in flight, and under load.

use std::sync::Arc;

use herd_model::{Digest, SwapOptions};
use herd_replication::{NoJournal, Replica, ReplicaConfig};
use herd_runtime::{Engine, GenerationRegistry, Limits, SwapLimits};
use herd_sdk::Settings;
use herd_tests::load::Load;
use herd_tests::{Behaviour, DEFAULT_GUEST, HELLO, Herd, WATCH, eventually};

#[test]
fn swap_and_rollback_keep_sessions_and_take_effect_at_once() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut client = herd.client("Riley");
    assert!(client.ask("IAMAT swapped +34-118 1").starts_with("AT Riley "));
    herd.swap(HELLO, &[]).unwrap();
    assert_eq!(client.ask("you"), "hello, you");
    assert!(herd.herd(&["rollback"]).status.success());
    assert_eq!(client.ask("you"), "? you");
    assert!(client.ask_places("WHATSAT swapped 1 1").0.starts_with("AT Riley "), "records stay");
    assert!(herd.herd(&["rollback"]).status.success(), "a second rollback undoes the first");
    assert_eq!(client.ask("you"), "hello, you");
}

/// Goal: of two rollbacks at once, as of a node and of its herd, the second does not undo the first. Method: the generations of
/// one node, without processes, because in the order that matters both have named their guest before either runs.
#[test]
fn rollback_to_a_guest_that_serves_already_changes_nothing() {
    let engine = Engine::new(Limits::default()).unwrap();
    let records = Arc::clone(Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal).table());
    let [first, second, third] = [DEFAULT_GUEST, HELLO, WATCH].map(|path| std::fs::read(path).unwrap());
    let settings = Settings { node: "Riley".into(), table: vec![] };
    let generations = GenerationRegistry::new(&engine, &first, None, settings, SwapLimits::default(), records).unwrap();
    let swap = |guest: &[u8]| {
        let candidate = generations.prepare(guest.into(), SwapOptions::default()).unwrap();
        generations.activate(candidate).unwrap();
    };
    swap(&second);
    let to = generations.previous().unwrap();
    for _ in 0..2 {
        assert_eq!(generations.roll_back_to(to).unwrap().id.0, 1);
    }
    assert_eq!(generations.digests(), (Digest::of(&first), Some(Digest::of(&second))));
    swap(&third);
    let refused = generations.roll_back_to(Digest::of(&second)).unwrap_err().to_string();
    assert!(refused.contains("is not the previous generation any more"), "{refused}");
    assert_eq!(generations.status().active.id.0, 3, "nothing changed");
}

#[test]
fn swap_to_the_built_in_guest_needs_no_file() {
    let herd = Herd::of_one().with_guest(HELLO);
    let _up = herd.up();
    assert_eq!(herd.client("Riley").ask("you"), "hello, you");
    assert!(herd.herd(&["swap", "--built-in"]).status.success());
    assert_eq!(herd.client("Riley").ask("you"), "? you");
    let said = herd.herd(&["swap"]);
    assert_eq!(said.status.code(), Some(2), "a swap without a guest is a usage error");
}

/// Goal: a swap that a restart would lose says so. Method: a file in the place of the directory in which swaps are stored, as on
/// a disk that is full.
#[test]
fn swap_that_was_not_stored_is_answered_with_a_warning() {
    let herd = Herd::of_one();
    let mut up = herd.up();
    let generations = herd.scratch().path("herd/generations");
    let _ = std::fs::remove_dir_all(&generations);
    std::fs::write(&generations, "in the way").unwrap();
    for arguments in [&[][..], &["--node", "Riley"]] {
        let swapped = herd.herd(&[&["swap", HELLO], arguments].concat());
        let said = String::from_utf8_lossy(&swapped.stderr).into_owned();
        assert!(swapped.status.success(), "{said}");
        assert!(said.contains("herd: warning: Riley could not store this"), "{arguments:?}: {said}");
        assert_eq!(herd.client("Riley").ask("you"), "hello, you");
    }
    std::fs::remove_file(&generations).unwrap();
    herd.swap(HELLO, &[]).unwrap();
    up.terminate();
    up.wait();
    let _up = herd.up();
    assert_eq!(herd.client("Riley").ask("you"), "hello, you", "stored once the disk had room");
}

#[test]
fn swap_leaves_an_unfinished_line_to_the_new_logic() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("before"), "? before");
    client.send("yo");
    herd.swap(HELLO, &[]).unwrap();
    assert_eq!(client.ask("u"), "hello, you");
}

#[test]
fn fetch_in_flight_is_answered_by_the_generation_that_requested_it() {
    let herd = Herd::of_one().with("upstreams.google-legacy.timeout_ms=20000");
    let _up = herd.up();
    herd.places().behave(Behaviour::Held);
    let mut client = herd.client("Riley");
    let at = client.ask("IAMAT flyer +34-118 1");
    client.send("WHATSAT flyer 1 1\nlast\n");
    herd.places().await_requests(1);
    herd.swap(HELLO, &[]).unwrap();
    assert_eq!(herd.client("Riley").ask("you"), "hello, you");
    herd.places().behave(Behaviour::Results(1));
    assert_eq!(client.line(), at);
    let places: serde_json::Value = serde_json::from_str(&client.json()).unwrap();
    assert_eq!((places["status"].as_str(), client.line()), (Some("OK"), "? last".into()));
}

#[test]
fn fetch_of_a_retired_generation_gets_its_fallback_reply() {
    let herd = Herd::of_one().with("upstreams.google-legacy.timeout_ms=20000");
    let _up = herd.up();
    herd.places().behave(Behaviour::Held);
    let mut client = herd.client("Riley");
    let at = client.ask("IAMAT orphan +34-118 1");
    client.send("WHATSAT orphan 1 1\n");
    herd.places().await_requests(1);
    for guest in [HELLO, WATCH] {
        herd.swap(guest, &[]).unwrap();
    }
    herd.places().behave(Behaviour::Results(1));
    assert_eq!(client.line(), at);
    let places: serde_json::Value = serde_json::from_str(&client.json()).unwrap();
    assert_eq!(places["status"], "UNKNOWN_ERROR");
}

/// Goal: a subscriber gets each location that wins, from its own node and from others, and none after it unsubscribed. Method:
/// reports at two nodes, one of them older than the record.
#[test]
fn subscription_delivers_every_new_location_from_any_node() {
    let herd = Herd::of_five();
    let _up = herd.up();
    herd.swap(WATCH, &[]).unwrap();
    let mut watcher = herd.client("Campbell");
    assert_eq!(watcher.ask("WATCH walker"), "OK");
    let mut riley = herd.client("Riley");
    for second in 1..=3 {
        let told = riley.ask(&format!("IAMAT walker +34-118 {second}"));
        assert_eq!(watcher.line(), told);
    }
    let older = riley.ask("IAMAT walker +35-118 2");
    assert!(older.starts_with("AT Riley "), "an older report is answered");
    let own = herd.client("Campbell").ask("IAMAT walker +36-118 4");
    assert_eq!(watcher.line(), own, "the older report was not published");
    assert_eq!(watcher.ask("UNWATCH walker"), "OK");
    riley.ask("IAMAT walker +34-118 5");
    herd.await_known("walker", &["Campbell"]);
    assert_eq!(watcher.ask("LLL"), "? LLL", "nothing was published after UNWATCH");
}

/// Goal: swaps and rollbacks of the whole herd under load lose no reply, duplicate none, and leave equal records. Method: load
/// on five nodes that checks each answer, with slow upstream requests always in flight.
#[test]
fn swap_and_rollback_under_load_lose_and_duplicate_no_reply() {
    let herd = Herd::of_five();
    herd.places().behave(Behaviour::Slow(std::time::Duration::from_millis(100)));
    let _up = herd.up();
    let nodes = herd.names().into_iter().map(|name| (name.to_string(), herd.address(name))).collect();
    let load = Load { nodes, sessions_per_node: 16, askers_per_node: 1, rate: Some(10_000.0) };
    let running = load.start();
    let goes_on = || {
        let goal = running.answered() + 2_000;
        eventually("answers", || if running.answered() >= goal { Ok(()) } else { Err(running.answered().to_string()) });
    };
    goes_on();
    for guest in [WATCH, DEFAULT_GUEST, WATCH] {
        herd.swap(guest, &[]).unwrap();
        goes_on();
        assert!(herd.herd(&["rollback"]).status.success());
        goes_on();
    }
    let outcome = running.stop();
    assert_eq!((outcome.failed, outcome.failures), (0, vec![]));
    assert!(outcome.answered > 10_000 && outcome.places > 0);
    let digest = herd.digest("Riley");
    for node in herd.names() {
        eventually(&format!("{node} holds what Riley holds"), || {
            let other = herd.digest(node);
            if other == digest { Ok(()) } else { Err(other) }
        });
    }
}
