//! Sessions at their limits: counts, timeouts, line length, back pressure and reply order, and no effect on other clients.

use herd_tests::{Behaviour, Client, HELLO, Herd, Places, eventually};

/// Opens a session and checks that the node answers it.
fn served(herd: &Herd) -> Client {
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("LLL"), "? LLL");
    client
}

#[test]
fn session_limit_closes_further_sessions_at_once_until_one_ends() {
    for limit in ["sessions.sessions_max=3", "sessions.sessions_per_address_max=3"] {
        let herd = Herd::of_one().with(limit).with("sessions.per_address.exempt=[]");
        let _up = herd.up();
        let mut open: Vec<Client> = (0..3).map(|_| served(&herd)).collect();
        assert!(herd.client("Riley").is_cut_off(), "{limit}");
        assert_eq!(open[0].ask("LLL"), "? LLL", "open sessions are not affected");
        open.pop();
        eventually("room for another session", || {
            let mut client = herd.client("Riley");
            client.send("LLL\n");
            client.try_line().map_err(|error| error.to_string())
        });
        assert!(herd.status("Riley")["sessions"]["refused"].as_u64() >= Some(1));
    }
}

/// Goal: clients cannot take the descriptors of links, of the admin API and of files. Method: a node that may open few files, and
/// clients until it refuses one; then a peer that starts, requests for the status, and a swap.
#[test]
fn session_limit_leaves_descriptors_for_links_admin_and_files() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let riley = herd.run_with_open_files("Riley", 400);
    riley.await_log(&["clients_max=", "`ulimit -Hn`"]);
    // More clients than descriptors cannot be.
    let mut open = herd.clients_until_refused("Riley", 400);
    assert!(open.len() > 64, "only {} clients", open.len());
    let _jaquez = herd.run("Jaquez");
    herd.await_linked(&["Riley", "Jaquez"]);
    herd.swap(HELLO, &["Riley"]).unwrap();
    assert_eq!(open[0].ask("you"), "hello, you");
    assert!(herd.status("Riley")["sessions"]["refused"].as_u64() >= Some(1));
}

#[test]
fn session_timeouts_end_unfinished_lines_and_idle_clients() {
    let herd = Herd::of_one().with("sessions.unfinished_line_s=1").with("sessions.idle_s=2");
    let _up = herd.up();
    let mut unfinished = served(&herd);
    let mut idle = served(&herd);
    unfinished.send("IAMAT half");
    assert!(unfinished.is_cut_off());
    assert!(idle.is_cut_off());
    served(&herd);
}

/// Goal: the timeout counts from the beginning of the unfinished line, not since the input was last empty. Method: each packet
/// ends a line and begins the next one, so the input is never empty and no line takes long.
#[test]
fn unfinished_line_timeout_restarts_with_every_new_line() {
    let herd = Herd::of_one().with("sessions.unfinished_line_s=1");
    let _up = herd.up();
    let mut client = served(&herd);
    client.send("LL");
    // Another session is cut off for its unfinished line, twice in turn, which shows that the timeout has passed twice.
    for _ in 0..2 {
        let mut other = served(&herd);
        other.send("half");
        eventually("the end of an unfinished line", || {
            client.send("L\nLL");
            assert_eq!(client.line(), "? LLL");
            if other.is_cut_off_by_now() { Ok(()) } else { Err("it is still open".into()) }
        });
    }
}

/// Goal: many queries in one packet neither exceed the limits of a call nor lose an answer. Method: 4,000 queries with places
/// and 4,000 without, written by a second handle while the first reads.
#[test]
fn pipelined_queries_are_all_answered() {
    let herd = Herd::of_one().with("places.sources=[\"embedded\"]");
    let _up = herd.up();
    let mut client = herd.client("Riley");
    let at = client.ask("IAMAT k +34.068930-118.445127 1");
    let count = 4000;
    let mut writer = client.duplicate();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            writer.send("WHATSAT k 50 2\n".repeat(count));
            writer.send("WHATSAT nobody 50 2\n".repeat(count));
        });
        for _ in 0..count {
            assert_eq!(client.line(), at);
            client.json();
        }
        for _ in 0..count {
            assert_eq!(client.line(), "? WHATSAT nobody 50 2");
        }
    });
    assert_eq!(herd.status("Riley")["generations"]["active"]["faults"], 0);
}

/// Goal: replies queued behind a pending fetch are bounded. Method: a client that sends without end while its first answer is held
/// back; back pressure has to stop it.
#[test]
fn reply_queue_behind_a_slow_answer_is_bounded() {
    let herd = Herd::of_one().with("upstreams.google-legacy.timeout_ms=60000");
    let up = herd.up();
    herd.places().behave(Behaviour::Held);
    let mut client = herd.client("Riley");
    assert!(client.ask("IAMAT slow +34-118 1").starts_with("AT "));
    client.send("WHATSAT slow 1 1\n");
    herd.places().await_requests(1);
    let before = up.resident_bytes();
    let taken = client.send_until_refused(&b"x\n".repeat(32 << 10), 64 << 20);
    assert!(taken < 64 << 20, "the node took everything");
    assert!(up.resident_bytes() < before + (48 << 20), "{before} then {}", up.resident_bytes());
    assert_eq!(served(&herd).ask("LLL"), "? LLL");
    // Back pressure does not close the session: all answers arrive, in order.
    herd.places().behave(Behaviour::Results(1));
    assert!(client.line().starts_with("AT Riley "));
    client.json();
    assert_eq!((client.line(), client.line()), ("? x".into(), "? x".into()));
}

#[test]
fn idle_timeout_spares_a_client_that_waits_for_places() {
    let herd = Herd::of_one().with("sessions.idle_s=1").with("upstreams.google-legacy.timeout_ms=20000");
    let _up = herd.up();
    herd.places().behave(Behaviour::Held);
    let mut waiting = herd.client("Riley");
    assert!(waiting.ask("IAMAT waiter +34-118 1").starts_with("AT "));
    waiting.send("WHATSAT waiter 1 1\n");
    herd.places().await_requests(1);
    let mut idle = served(&herd);
    assert!(idle.is_cut_off(), "an idle client is cut off by now");
    herd.places().behave(Behaviour::Results(1));
    assert!(waiting.line().starts_with("AT Riley "));
}

#[test]
fn overlong_line_is_answered_with_its_beginning_and_ends_only_its_session() {
    let herd = Herd::of_one().with("sessions.line_bytes_max=1000");
    let _up = herd.up();
    let mut other = served(&herd);
    let mut client = served(&herd);
    let longest = "x".repeat(1000);
    assert_eq!(client.ask(&longest), format!("? {longest}"));
    client.send("x".repeat(1001) + "\nLLL\n");
    assert_eq!(client.rest(), format!("? {}\n", "x".repeat(64)).into_bytes());
    assert_eq!(other.ask("LLL"), "? LLL");
}

/// Goal: a client that does not read is stopped by back pressure, delays no other client, and gets every reply once it reads.
/// Method: 24 MB of lines to a client that does not read, while other sessions are served.
#[test]
fn slow_reader_delays_no_other_client_and_loses_nothing() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut lazy = herd.client("Riley");
    let line = "z".repeat(60_000);
    // Far more than the socket buffers and the node hold together, so the node has to stop reading.
    let count = 400;
    let sent = std::thread::scope(|scope| {
        let mut writer = lazy.duplicate();
        let line = &line;
        let writing = scope.spawn(move || (0..count).for_each(|_| writer.send(format!("{line}\n"))));
        for _ in 0..10 {
            served(&herd);
        }
        let answers = (0..count).filter(|_| lazy.line() == format!("? {line}")).count();
        writing.join().unwrap();
        answers
    });
    assert_eq!(sent, count);
}

#[test]
fn reply_order_holds_while_places_are_slow_and_other_sessions_go_on() {
    let herd = Herd::of_one().with("upstreams.google-legacy.timeout_ms=20000");
    let _up = herd.up();
    herd.places().behave(Behaviour::Held);
    let mut client = herd.client("Riley");
    client.send("IAMAT ordered +34-118 1\nWHATSAT ordered 1 1\nFIRST\nWHATSAT ordered 1 0\nSECOND\n");
    client.end();
    assert!(client.line().starts_with("AT Riley "));
    herd.places().await_requests(2);
    served(&herd);
    herd.places().behave(Behaviour::Results(1));
    let rest = String::from_utf8(client.rest()).unwrap();
    let firsts: Vec<&str> = rest.lines().filter(|line| line.starts_with("AT ") || line.starts_with("? ")).collect();
    assert_eq!(firsts.len(), 4, "{rest}");
    assert!(firsts[0].starts_with("AT ") && firsts[2].starts_with("AT "), "{rest}");
    assert_eq!((firsts[1], firsts[3]), ("? FIRST", "? SECOND"));
}

#[test]
fn disconnect_during_a_fetch_leaves_no_session_behind() {
    let herd = Herd::of_one();
    let _up = herd.up();
    herd.places().behave(Behaviour::Held);
    let mut leaving = herd.client("Riley");
    assert!(leaving.ask("IAMAT leaver +34-118 1").starts_with("AT "));
    leaving.send("WHATSAT leaver 1 1\n");
    herd.places().await_requests(1);
    drop(leaving);
    herd.places().behave(Behaviour::Results(1));
    herd.await_status("Riley", "no session", |status| status["sessions"]["open"] == 0);
    assert!(herd.knows("Riley", "leaver"));
}

#[test]
fn traffic_log_has_every_line_and_no_secret() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let pattern = log_path(&herd, "{node}");
    let herd = herd.with(&format!("traffic_log={}", pattern.display()));
    let up = herd.up();
    assert!(herd.client("Riley").ask("IAMAT logged +34-118 1").starts_with("AT Riley "));
    herd.await_known("logged", &["Jaquez"]);
    let (riley, jaquez) = eventually("both logs", || {
        let read = |node: &str| std::fs::read_to_string(log_path(&herd, node)).map_err(|error| error.to_string());
        let (riley, jaquez) = (read("Riley")?, read("Jaquez")?);
        let whole = riley.contains("> peer Jaquez AT Riley") && jaquez.contains("< peer Riley AT Riley");
        if whole { Ok((riley, jaquez)) } else { Err(format!("{riley}\n{jaquez}")) }
    });
    assert!(riley.contains("IAMAT logged +34-118 1"), "{riley}");
    assert!(!riley.contains(Places::SECRET) && !jaquez.contains(Places::SECRET) && !up.log().contains(Places::SECRET));
}

fn log_path(herd: &Herd, node: &str) -> std::path::PathBuf {
    herd.scratch().path(&format!("traffic-{node}.log"))
}
