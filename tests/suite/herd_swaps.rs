//! Herd-wide swaps with one process per node: refusal by one node, two coordinators at once, death of the coordinator, absent
//! nodes, partitions, restarts, and rollbacks that spread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use herd_tests::{Client, DEFAULT_GUEST, Fixture, HELLO, Herd, Process, WATCH, eventually};
use serde_json::Value;

#[test]
fn herd_swap_reaches_a_restarted_node_through_a_peer() {
    let herd = Herd::of_five();
    let mut nodes = start(&herd);
    nodes.remove("Campbell").unwrap().kill();
    herd.await_linked(&["Bernard", "Jaquez", "Juzang", "Riley"]);
    let swapped = herd.swap_at("Riley", HELLO).unwrap();
    assert_eq!(swapped["nodes"]["Campbell"], "absent", "{swapped}");
    assert_eq!(swapped["nodes"]["Bernard"]["serving"]["name"], "hello", "{swapped}");
    let kept = herd.scratch().path("herd").join("generations").join("Campbell");
    assert!(!kept.exists(), "the node has no copy of the guest yet");
    nodes.insert("Campbell", herd.run("Campbell"));
    herd.await_serving(&herd.serving("Riley"), &["Campbell"]);
    assert_eq!(herd.client("Campbell").ask("you"), "hello, you");
    let digest = herd.status("Riley")["herd"]["swap"]["digest"].as_str().unwrap().to_string();
    let file = kept.join(format!("{digest}.wasm"));
    eventually("the guest is on its disk", || if file.exists() { Ok(()) } else { Err(file.display().to_string()) });
}

/// Goal: one refusal aborts the swap on all nodes, is audited, and leaves nothing that blocks the next swap. Method: three
/// nodes, one of which has a setting that the guest refuses.
#[test]
fn herd_swap_that_one_node_refuses_is_served_by_none() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])]).with_guest(HELLO);
    let good = ["Riley", "Jaquez"].map(|node| herd.run_with(node, &["logic.mood=good"]));
    let bad = herd.run_with("Juzang", &["logic.mood=bad"]);
    herd.await_linked(&["Jaquez", "Juzang", "Riley"]);
    let said = herd.swap(Fixture::Picky, &[]).unwrap_err();
    assert!(said.starts_with("herd: Juzang: not checked: setting `mood`: must be good"), "{said}");
    for node in ["Riley", "Jaquez", "Juzang"] {
        assert_eq!(herd.client(node).ask("you"), "hello, you", "{node}");
        assert_eq!(herd.status(node)["herd"]["swap"], Value::Null);
        herd.await_status(node, "no swap in progress", |status| status["herd"]["engaged"].is_null());
    }
    herd.await_audited("Riley", &["aborted", "Juzang refused: not checked: setting `mood`"]);
    herd.swap(Fixture::Trap, &[]).unwrap();
    assert_eq!(herd.client("Juzang").ask("you"), "trap: you", "the next swap is not blocked");
    drop((good, bad));
}

/// Goal: of two concurrent swaps the herd ends with one guest on all nodes, and an operator whose swap lost is told which one
/// won. Method: five rounds of two swaps with different coordinators at the same time.
#[test]
fn herd_swap_that_loses_to_a_concurrent_one_names_the_winner() {
    let herd = Herd::of_five();
    let _up = herd.up();
    let (mut before, mut overlapped) = (0, 0);
    for round in 1..=5 {
        let guests = if round % 2 == 1 { [HELLO, WATCH] } else { [DEFAULT_GUEST, HELLO] };
        let answers = thread::scope(|scope| {
            let first = scope.spawn(|| herd.swap_at("Riley", guests[0]));
            let second = scope.spawn(|| herd.swap_at("Campbell", guests[1]));
            [first.join().unwrap(), second.join().unwrap()]
        });
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        let mut won: Vec<Value> = won.into_iter().map(Result::unwrap).collect();
        won.sort_by_key(|won| won["swap"].as_u64());
        let last = won.last().expect("one of them swaps the herd");
        let (digest, number) = (last["digest"].as_str().unwrap()[..8].to_string(), last["swap"].as_u64().unwrap());
        // Both succeed, one after the other, if the first committed before the second was proposed.
        assert_eq!(number, before + won.len() as u64, "{won:?}");
        before = number;
        overlapped += lost.len();
        for lost in lost.into_iter().map(Result::unwrap_err) {
            let words = format!("the herd swapped to {digest} meanwhile (swap {number}, by operator ");
            assert!(lost.starts_with(&words), "{lost}");
        }
        for node in herd.names() {
            assert_eq!(herd.serving(node), digest, "{node}");
        }
    }
    assert!(overlapped > 0, "no two swaps were asked for at the same time");
}

/// Goal: a coordinator that dies between prepare and commit changes nothing, and its proposal expires. Method: a stopped
/// participant delays the vote, so the coordinator can be killed once another participant has prepared. If the stopped node had
/// already voted, the swap commits before the kill; that attempt proves nothing and is repeated.
#[test]
fn coordinator_death_before_commit_changes_nothing_and_the_proposal_expires() {
    assert!((0..10).any(|_| coordinator_dies_before_commit()), "the vote was never held up");
}

/// Makes one attempt. Returns false if the coordinator committed before it was killed; otherwise checks the outcome and returns
/// true.
fn coordinator_dies_before_commit() -> bool {
    let herd = Herd::of_five().with("swap.candidate_s=2");
    let mut nodes = start(&herd);
    // Campbell is stopped after it joined and before its vote arrives, so the coordinator cannot commit.
    let outcome = thread::scope(|scope| {
        let coordinator = scope.spawn(|| herd.swap_at("Riley", HELLO));
        herd.await_status("Campbell", "a proposal", |status| !status["herd"]["engaged"].is_null());
        nodes["Campbell"].stop();
        let audit = herd.scratch().path("herd").join("audit").join("Bernard.000000001.jsonl");
        eventually("Bernard has prepared", || match std::fs::read_to_string(&audit) {
            Ok(text) if text.contains("\"prepared\"") => Ok(()),
            other => Err(format!("{other:?}")),
        });
        nodes.remove("Riley").unwrap().kill();
        coordinator.join().unwrap()
    });
    nodes["Campbell"].go_on();
    if outcome.is_ok() {
        return false;
    }
    for node in ["Bernard", "Campbell", "Jaquez", "Juzang"] {
        herd.await_status(node, "no swap in progress", |status| status["herd"]["engaged"].is_null());
        assert_eq!(herd.client(node).ask("you"), "? you", "{node}");
    }
    nodes.insert("Riley", herd.run("Riley"));
    herd.await_linked(&herd.names());
    assert_eq!(herd.client("Riley").ask("you"), "? you");
    herd.swap_at("Bernard", WATCH).unwrap();
    for node in herd.names() {
        assert_eq!(herd.client(node).ask("WATCH you"), "OK", "{node}");
    }
    true
}

#[test]
fn herd_swaps_in_two_partitions_converge_when_they_rejoin() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let mut riley = herd.run("Riley");
    assert_eq!(herd.swap_at("Riley", HELLO).unwrap()["nodes"]["Jaquez"], "absent");
    let left = herd.serving("Riley");
    riley.kill();
    let _jaquez = herd.run("Jaquez");
    assert_eq!(herd.swap_at("Jaquez", WATCH).unwrap()["nodes"]["Riley"], "absent");
    let right = herd.serving("Jaquez");
    let _riley = herd.run("Riley");
    herd.await_serving(left.as_str().max(&right), &["Riley", "Jaquez"]);
    assert_eq!(
        herd.status("Riley")["herd"]["swap"]["number"],
        1,
        "of two swaps with the same number the greater digest wins"
    );
}

/// Goal: a node starts with the generations that it had, after a drain and after a kill. Method: two swaps and a drain, then a
/// rollback, which needs the restored previous generation, and a kill.
#[test]
fn restart_restores_the_active_and_the_previous_generation() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let mut up = herd.up();
    for guest in [WATCH, HELLO] {
        herd.swap(guest, &[]).unwrap();
    }
    up.terminate();
    up.wait();
    let mut up = herd.up();
    for node in herd.names() {
        assert_eq!(herd.client(node).ask("you"), "hello, you", "{node}");
        assert_eq!(herd.status(node)["generations"]["previous"]["commands"][2], "WATCH", "{node}");
    }
    assert!(herd.herd(&["rollback"]).status.success());
    up.kill();
    let up = herd.up();
    for node in herd.names() {
        // A participant that was killed before it stored the rollback learns of it from the coordinator, which had stored it.
        herd.await_status(node, "the previous guest", |status| status["generations"]["active"]["name"] == "watch");
        assert_eq!(herd.client(node).ask("WATCH you"), "OK", "{node}, after it was killed");
    }
    up.await_log(&["serving the guest of its last swap, not the configured one"]);
}

/// Goal: a node that rolled back by itself stays rolled back, also after a restart, while the others serve on; once half of the
/// nodes have, the whole herd rolls back with the next swap number. Method: three nodes, of which a first and then a second
/// meets faults.
#[test]
fn rollback_of_a_node_survives_restart_and_half_of_the_nodes_roll_back_the_herd() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])]).with("swap.faults_max=2");
    let mut nodes = start(&herd);
    herd.swap(Fixture::Trap, &[]).unwrap();
    let trap = herd.serving("Riley");
    let boom = |node: &str| (0..2).for_each(|_| assert_eq!(herd.client(node).ask("BOOM"), "? BOOM"));
    boom("Riley");
    herd.await_status("Juzang", "the rollback of Riley", |status| status["herd"]["back"]["Riley"].is_string());
    nodes.get_mut("Riley").unwrap().kill();
    nodes.insert("Riley", herd.run("Riley"));
    herd.await_linked(&["Jaquez", "Juzang", "Riley"]);
    herd.await_status("Riley", "its rollback", |status| status["herd"]["back"]["Riley"].is_string());
    assert_eq!(herd.client("Riley").ask("you"), "? you", "also after a restart");
    assert_eq!((herd.serving("Jaquez"), herd.serving("Juzang")), (trap.clone(), trap.clone()));
    let shown = String::from_utf8_lossy(&herd.herd(&["status"]).stdout).into_owned();
    assert!(shown.contains("swap fault: Riley does not serve swap 1 of the herd: 2 faults within"), "{shown}");
    boom("Juzang");
    herd.await_status("Jaquez", "the rollback of the herd", |status| status["herd"]["swap"]["number"] == 2);
    for node in herd.names() {
        herd.await_status(node, "the previous logic", |status| {
            status["generations"]["active"]["digest"].as_str().is_some_and(|digest| !digest.starts_with(&trap))
        });
        assert_eq!(herd.client(node).ask("you"), "? you", "{node}");
    }
    assert_eq!(herd.status("Jaquez")["herd"]["swap"]["who"], "the herd itself");
}

/// Goal: a guest that faults before its swap has been answered is rolled back all the same, and in the right order. Method: a
/// client that sends nothing but the faulting line during the swap; one fault is enough for a rollback.
#[test]
fn rollback_during_activation_is_reported() {
    let herd = Herd::of_one().with("swap.faults_max=1");
    let _up = herd.up();
    let address = herd.address("Riley");
    let ends = AtomicBool::new(false);
    let said = thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::connect(address);
            while !ends.load(Ordering::Relaxed) {
                assert_eq!(client.ask("BOOM"), "? BOOM");
            }
        });
        let swapped = herd.swap_with(Fixture::Trap, &["--unrehearsed"]);
        herd.await_status("Riley", "the rollback", |status| status["herd"]["swap"]["number"] == 2);
        ends.store(true, Ordering::Relaxed);
        swapped
    });
    // The swap may also be answered before the first fault; then it succeeds.
    let words = "herd: Riley: it was sent back at once, and so was the herd";
    assert!(said.is_ok() || said.as_ref().is_err_and(|said| said.starts_with(words)), "{said:?}");
    let status = herd.await_status("Riley", "the rollback of the herd", |status| {
        status["herd"]["swap"]["number"] == 2 && status["herd"]["applied"] == 2
    });
    assert_eq!(status["generations"]["active"]["id"], 1);
    let audit = herd.herd(&["audit", "--json"]);
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
    let entries = audit["Riley"]["entries"].as_array().unwrap();
    let last = |stage: &str, generation: u64| {
        let is_it = |entry: &Value| entry["stage"] == stage && entry["generation"] == generation;
        entries.iter().rposition(is_it).unwrap_or_else(|| panic!("no {stage} {generation}: {entries:#?}"))
    };
    let story = [last("active", 2), last("rolled_back", 2), last("active", 1)];
    assert!(story.is_sorted(), "{entries:#?}");
}

/// Goal: a promotion in progress completes although its canary is cancelled meanwhile. Method: a stopped participant delays the
/// promotion of the other node's canary, which is cancelled in that time.
#[test]
fn promotion_of_a_canary_cancelled_meanwhile_completes_and_blocks_no_later_swap() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let nodes = start(&herd);
    herd.swap_with(HELLO, &["--canary", "100%", "--node", "Riley"]).unwrap();
    nodes["Jaquez"].stop();
    thread::scope(|scope| {
        let promoting = scope.spawn(|| herd.operator("Riley").promote_canary());
        herd.await_status("Riley", "the candidate", |status| !status["herd"]["engaged"].is_null());
        assert!(herd.herd(&["canary", "cancel", "--node", "Riley"]).status.success());
        nodes["Jaquez"].go_on();
        promoting.join().unwrap().unwrap();
    });
    for node in herd.names() {
        herd.await_status(node, "the promoted guest", |status| status["generations"]["active"]["name"] == "hello");
        assert_eq!(herd.client(node).ask("you"), "hello, you", "{node}");
    }
    herd.swap(WATCH, &[]).unwrap();
    assert_eq!(herd.client("Riley").ask("WATCH you"), "OK", "the next swap is not blocked");
    assert!(herd.status("Riley")["engine"]["instances"]["alive"].as_object().unwrap().len() <= 2);
}

#[test]
fn single_node_swap_stays_local_until_the_herd_swaps() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let mut up = herd.up();
    herd.swap(HELLO, &["Riley"]).unwrap();
    assert_eq!(herd.client("Jaquez").ask("you"), "? you");
    up.terminate();
    up.wait();
    let _up = herd.up();
    assert_eq!(
        (herd.client("Riley").ask("you"), herd.client("Jaquez").ask("you")),
        ("hello, you".into(), "? you".into())
    );
    herd.swap(WATCH, &[]).unwrap();
    for node in herd.names() {
        assert_eq!(herd.client(node).ask("WATCH you"), "OK", "{node}");
    }
}

/// Goal: ctrl-c on `herd swap` cancels the swap or says that it came too late, and never leaves it running without a word.
/// Method: a stopped node, for which the coordinator waits a moment before it commits.
#[test]
fn herd_swap_that_is_interrupted_says_whether_it_was_cancelled() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let nodes = start(&herd);
    interrupt(&herd, &nodes, &["swap", HELLO]);
    check_not_blocked(&herd);
    for node in herd.names() {
        assert_eq!(herd.client(node).ask("WATCH you"), "OK", "{node}");
    }
}

#[test]
fn herd_rollback_that_is_interrupted_says_whether_it_was_cancelled() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let nodes = start(&herd);
    herd.swap(HELLO, &[]).unwrap();
    interrupt(&herd, &nodes, &["rollback"]);
    check_not_blocked(&herd);
}

/// Checks that the next swap is carried out. The node that was stopped has the messages of what was cancelled before it, of which a rollback goes
/// first, as the refusal says.
fn check_not_blocked(herd: &Herd) {
    herd.await_linked(&["Jaquez", "Riley"]);
    eventually("the next swap", || match herd.swap(WATCH, &[]) {
        Err(said) if said.contains("a rollback of the herd goes first") => Err(said),
        swapped => {
            swapped.unwrap();
            Ok(())
        }
    });
}

/// Interrupts a command that changes what the herd serves, and checks that it says what came of it. The second node is stopped
/// meanwhile.
fn interrupt(herd: &Herd, nodes: &BTreeMap<&str, Process>, command: &[&str]) {
    let (before, number) = (herd.serving("Riley"), herd.status("Riley")["herd"]["swap"]["number"].clone());
    nodes["Jaquez"].stop();
    let mut changing = herd.begin(command);
    herd.await_status("Riley", command[0], |status| {
        status["herd"]["engaged"].is_string() || status["herd"]["swap"]["number"] != number
    });
    changing.interrupt();
    let is_changed = changing.wait().success();
    let said = changing.log();
    nodes["Jaquez"].go_on();
    assert!(said.contains(&format!("herd: cancelling the {} at Riley", command[0])), "{said}");
    let words = if is_changed { "too late to cancel" } else { "cancelled by its operator; nothing changed" };
    assert!(said.contains(words), "{said}");
    assert_eq!(herd.serving("Riley") != before, is_changed, "{said}");
}

/// Starts one process per node and waits for all links.
fn start(herd: &Herd) -> BTreeMap<&str, Process> {
    let nodes = herd.names().into_iter().map(|node| (node, herd.run(node))).collect();
    herd.await_linked(&herd.names());
    nodes
}
