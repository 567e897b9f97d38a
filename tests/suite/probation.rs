//! Probation: a generation that faults too often after its swap is rolled back automatically.

use herd_tests::load::Load;
use herd_tests::{DEFAULT_GUEST, Fixture, HELLO, Herd, eventually};

/// Sends the faulting line until the guest is rolled back, at most `times` times; returns how many it took.
fn boom_until_rolled_back(herd: &Herd, times: usize) -> usize {
    let mut client = herd.client("Riley");
    for number in 1..=times {
        assert_eq!(client.ask("BOOM"), "? BOOM", "the client sees a normal answer");
        if herd.status("Riley")["generations"]["previous"]["failed"] == true {
            return number;
        }
    }
    panic!("not rolled back after {times} faults");
}

/// Goal: the fifth fault rolls the guest back, and neither a swap nor a rollback returns to it unless forced. Method: a guest
/// that traps on one line, then every way to activate it again.
#[test]
fn probation_rolls_back_a_faulty_guest_and_refuses_it_afterwards() {
    let herd = Herd::of_one().with("swap.faults_max=5");
    let mut up = herd.up();
    let mut client = herd.client("Riley");
    herd.swap(Fixture::Trap, &[]).unwrap();
    assert_eq!(client.ask("you"), "trap: you");
    assert_eq!(boom_until_rolled_back(&herd, 20), 5);
    assert_eq!(client.ask("you"), "? you", "the previous guest serves again");
    up.await_log(&["ERROR", "failed its probation", "5 faults within 10 s"]);
    for (arguments, words) in [
        (&["--unrehearsed"][..], "not tried again: this guest ("),
        (&["--again"], "not rehearsed: it faults on a line from a client"),
    ] {
        let said = herd.swap_with(Fixture::Trap, arguments).unwrap_err();
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let said = herd.herd(&["rollback"]);
    assert!(
        String::from_utf8_lossy(&said.stderr)
            .contains("the herd went back by itself, and nobody returns to what failed")
    );
    let said = herd.herd(&["rollback", "--node", "Riley"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("(2) failed its probation, so a rollback to it is refused"));
    assert_eq!(client.ask("BOOM"), "? BOOM");
    herd.swap_with(Fixture::Trap, &["--again", "--unrehearsed"]).unwrap();
    assert_eq!(client.ask("you"), "trap: you");
    herd.swap(HELLO, &[]).unwrap();
    assert_eq!(client.ask("you"), "hello, you", "another guest is not affected by the refusal");
    herd.await_audited("Riley", &["the node itself", "rolled back"]);
    assert!(up.is_running());
}

/// Goal: a node remembers which guests failed on it, also those that its operator swapped in there alone. Method: a guest that
/// fails after `swap --node`, and a restart.
#[test]
fn probation_that_a_guest_failed_after_a_node_swap_is_remembered_after_a_restart() {
    let herd = Herd::of_one().with("swap.faults_max=2");
    let mut up = herd.up();
    herd.swap(Fixture::Trap, &["Riley"]).unwrap();
    assert_eq!(boom_until_rolled_back(&herd, 20), 2);
    up.terminate();
    up.wait();
    let _up = herd.up();
    let said = herd.swap(Fixture::Trap, &["Riley"]).unwrap_err();
    assert!(said.contains("not tried again: this guest (") && said.contains("2 faults within 10 s"), "{said}");
}

/// Goal: a client that found a line on which an accepted guest faults chooses neither what the node runs nor how much its faults
/// cost. Method: that line again and again, in one session.
#[test]
fn probation_over_keeps_a_guest_and_reroutes_the_session_that_provokes_faults() {
    let herd = Herd::of_one().with("swap.probation_s=0").with("swap.faults_max=2");
    let _up = herd.up();
    herd.swap(Fixture::Trap, &[]).unwrap();
    let mut client = herd.client("Riley");
    for _ in 0..20 {
        assert_eq!(client.ask("BOOM"), "? BOOM");
    }
    assert_eq!(client.ask("you"), "? you", "the previous guest decides for this session");
    assert_eq!(herd.client("Riley").ask("you"), "trap: you");
    assert_eq!(herd.status("Riley")["generations"]["rescued"], 8);
}

/// Goal: clients do not notice a bad guest. Method: load on every node that checks each answer byte for byte, while a guest that
/// traps on some lines is swapped in and rolled back; the lines that it traps on come from other clients.
#[test]
fn probation_under_load_rolls_back_without_a_wrong_answer() {
    let herd = Herd::of_five();
    let _up = herd.up();
    let nodes = herd.names().into_iter().map(|name| (name.to_string(), herd.address(name))).collect();
    let load = Load { nodes, sessions_per_node: 8, askers_per_node: 0, rate: Some(5_000.0) };
    let running = load.start();
    herd.swap(Fixture::Refuser, &[]).unwrap();
    let mut clients: Vec<_> = herd.names().into_iter().map(|name| herd.client(name)).collect();
    for number in 0..8 {
        for client in &mut clients {
            assert!(client.ask(&format!("IAMAT trap-{number} +34-118 1")).starts_with("AT "));
        }
    }
    let goal = running.answered() + 5_000;
    eventually("answers", || if running.answered() >= goal { Ok(()) } else { Err(running.answered().to_string()) });
    let outcome = running.stop();
    assert_eq!((outcome.failed, outcome.failures), (0, vec![]));
    herd.swap(DEFAULT_GUEST, &[]).unwrap();
    let digest = herd.digest("Riley");
    for node in herd.names() {
        eventually(&format!("{node} holds what Riley holds"), || {
            let other = herd.digest(node);
            if other == digest { Ok(()) } else { Err(other) }
        });
    }
}
