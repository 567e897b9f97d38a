//! Classic links: a herd of four nodes and an older program in Python, as while a herd is moved over.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};

use herd_tests::{ClassicPeer, Client, HELLO, Herd, Process, WAIT_MAX, connect_from, eventually};
use serde_json::Value;

/// Four nodes, of which Riley and Campbell have ports for classic links and send to these programs.
fn four(peers: &[SocketAddr]) -> Herd {
    Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Juzang"]), ("Juzang", &["Campbell"]), ("Campbell", &[])])
        .with(&format!("classic.accept=[\"{CLARK}\"]"))
        .with_classic("Riley", peers)
        .with_classic("Campbell", &[])
}

fn start(herd: &Herd) -> Process {
    let up = herd.up();
    herd.await_linked(&herd.names());
    up
}

fn classic(herd: &Herd, node: &str) -> Value {
    herd.status(node)["classic"].clone()
}

/// Waits until a node answers a question about a client with this line.
#[track_caller]
fn await_line(herd: &Herd, node: &str, client: &str, line: &str) {
    eventually(&format!("{client} at {node}"), || {
        let (answer, _) = herd.client(node).ask_places(&format!("WHATSAT {client} 10 5"));
        if answer == line { Ok(()) } else { Err(answer) }
    });
}

#[track_caller]
fn await_line_of(peer: &ClassicPeer, client: &str, line: &str) {
    eventually(&format!("{client} at the older program"), || {
        let answer = peer.at_line(client);
        if answer == line { Ok(()) } else { Err(answer) }
    });
}

/// Goal: a client finds what it reported at any node, of whichever kind, and with the same line. Method: a report at each node, asked for
/// at all others; the older program is a neighbour of one node.
#[test]
fn classic_links_bring_reports_to_older_programs_and_back() {
    let Some(clark) = ClassicPeer::at("Clark", CLARK) else { return };
    let herd = four(&[clark.address()]);
    let _up = start(&herd);
    let _clark = clark.start(&[herd.classic_address("Riley")]);
    for (number, node) in herd.names().into_iter().enumerate() {
        let client = format!("of-{node}");
        let line = herd.client(node).ask(&format!("IAMAT {client} +34.068930-118.445127 1479413884.39201445{number}"));
        assert!(line.starts_with(&format!("AT {node} +")), "{line}");
        await_line_of(&clark, &client, &line);
    }
    let line = clark.client().ask("IAMAT of-Clark +34.068930-118.445127 1479413884.392014450");
    assert!(line.starts_with("AT Clark +"), "{line}");
    herd.names().into_iter().for_each(|node| await_line(&herd, node, "of-Clark", &line));
    // A later one, of the same client elsewhere, and an older one, which changes nothing.
    let line = herd.client("Campbell").ask("IAMAT of-Clark +1+1 1479413885");
    await_line_of(&clark, "of-Clark", &line);
    clark.client().ask("IAMAT of-Clark +2+2 1479413884.5");
    herd.names().into_iter().for_each(|node| await_line(&herd, node, "of-Clark", &line));
    let status = classic(&herd, "Riley");
    assert_eq!(
        (&status["applied"], &status["invalid"], &status["peers"][0]["failures"]),
        (&1.into(), &0.into(), &0.into()),
        "{status}"
    );
    // Nodes do not wait for the older program to be called converged, nor count it for anything.
    assert_eq!(herd.status("Riley")["links"].as_array().unwrap().len(), 1);
    let said = String::from_utf8(herd.herd(&["status"]).stdout).unwrap();
    assert!(said.contains("classic links") && said.contains(&format!("{} up", clark.address())), "{said}");
}

/// Goal: the port of clients is no way around. Method: the same line there, and on the port of classic links, where it counts.
#[test]
fn client_port_refuses_at_lines_also_from_classic_peers() {
    let Some(clark) = ClassicPeer::at("Clark", CLARK) else { return };
    let herd = four(&[]);
    let _up = start(&herd);
    // A neighbour at the port of clients, as if it were a node of the older herd.
    let _clark = clark.start(&[herd.address("Riley")]);
    clark.client().ask("IAMAT kiwi +1+1 5");
    eventually("the line was sent", || if clark.counts()[1] == 1 { Ok(()) } else { Err(String::new()) });
    let line = "AT Clark +1 kiwi +1+1 5";
    assert_eq!(herd.client("Riley").ask(line), format!("? {line}"));
    assert!(!herd.knows("Riley", "kiwi"));
}

/// Goal: nobody else gets in. Method: a connection from another address of the machine, whose line has no effect.
#[test]
fn classic_port_refuses_an_address_that_is_not_configured() {
    let herd = four(&[]);
    let up = start(&herd);
    let mut client = Client::connect(herd.classic_address("Riley"));
    client.send("AT Clark +1 kiwi +1+1 5\n");
    assert!(client.try_line().is_err(), "it is closed");
    let status = classic(&herd, "Riley");
    assert_eq!((&status["connections"]["refused_by_limit"]["not_allowed"], &status["lines"]), (&1.into(), &0.into()));
    up.await_log(&["client refused", "not_allowed"]);
    assert!(!herd.knows("Riley", "kiwi"));
}

/// Goal: an older program is never sent anything on its connection, whatever it sends, and whatever the guest replies. Method: a connection
/// from its address, with lines of all kinds, to the default logic and to a guest that greets every line.
#[test]
fn classic_port_replies_nothing_and_counts_lines_that_are_none() {
    let herd = four(&[]);
    let _up = start(&herd);
    let lines = "AT Clark +1 kiwi +1+1 5\n? AT\nWHATSAT kiwi 10 5\n\nAT Clark +1 kiwi +1+1 4\nIAMAT kiwi +1+1 6";
    assert_eq!(answer_to(&herd, lines), "");
    let status = herd.await_status("Riley", "its lines", |status| status["classic"]["lines"] == 5)["classic"].clone();
    let counts =
        ["applied", "outranked", "invalid", "refused", "replies_dropped"].map(|count| status[count].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 3, 0, 0], "{status}");
    herd.await_known("kiwi", &herd.names());
    herd.swap(HELLO, &[]).unwrap();
    assert_eq!(answer_to(&herd, "AT Clark +1 apple +1+1 5\n"), "");
    herd.await_status("Riley", "a dropped reply", |status| status["classic"]["replies_dropped"] == 1);
    assert_eq!(herd.client("Riley").ask("world"), "hello, world", "clients have theirs");
}

/// Goal: what an older program has is bounded by its own memory, and a restart costs it nothing for long. Method: reports before it runs,
/// while it runs, and while it is away.
#[test]
fn classic_peer_that_was_started_again_is_sent_everything() {
    let Some(clark) = ClassicPeer::at("Clark", CLARK) else { return };
    let herd = four(&[clark.address()]);
    let _up = start(&herd);
    let mut lines = vec![];
    let mut report = |herd: &Herd| {
        let number = lines.len();
        let node = herd.names()[number % 4].to_string();
        lines.push(herd.client(&node).ask(&format!("IAMAT c{number} +1+1 {number}")));
        lines.clone()
    };
    let is_there = |lines: &[String]| {
        lines.iter().enumerate().for_each(|(number, line)| await_line_of(&clark, &format!("c{number}"), line));
    };
    report(&herd);
    herd.await_status("Riley", "an older program that is away", |status| {
        status["classic"]["peers"][0]["state"] == "down"
    });
    let mut running = clark.start(&[herd.classic_address("Riley")]);
    is_there(&report(&herd));
    running.kill();
    let lines = report(&herd);
    herd.await_status("Riley", "another failure", |status| status["classic"]["peers"][0]["failures"] == 2);
    let _running = clark.start(&[herd.classic_address("Riley")]);
    is_there(&lines);
}

/// Goal: an older program that hangs costs neither clients nor other nodes anything, and lacks nothing once it goes on. Method: one that is
/// stopped under a stream of reports.
#[test]
fn classic_peer_that_hangs_delays_nobody() {
    let Some(clark) = ClassicPeer::at("Clark", CLARK) else { return };
    let herd = four(&[clark.address()]);
    let _up = start(&herd);
    let running = clark.start(&[herd.classic_address("Riley")]);
    running.stop();
    let mut client = herd.client("Riley");
    let mut last = String::new();
    for number in 0..REPORTS {
        last = client.ask(&format!("IAMAT c{} +1+1 {number}", number % CLIENTS));
        assert!(last.starts_with("AT Riley "), "{last}");
    }
    let name = format!("c{}", (REPORTS - 1) % CLIENTS);
    herd.names().into_iter().for_each(|node| await_line(&herd, node, &name, &last));
    running.go_on();
    await_line_of(&clark, &name, &last);
    (0..CLIENTS).for_each(|number| {
        let client = format!("c{number}");
        let (line, _) = herd.client("Riley").ask_places(&format!("WHATSAT {client} 10 5"));
        await_line_of(&clark, &client, &line);
    });
}

/// Goal: a node that only sends needs no port, and a configuration that nobody could use is refused. Method: what `herd config check` says.
#[test]
fn classic_port_needs_addresses_to_accept() {
    let herd = Herd::of_one().with_classic("Riley", &[]);
    let said = String::from_utf8(herd.herd(&["config", "check"]).stderr).unwrap();
    assert!(said.contains("`nodes.Riley.classic` is set and nobody may connect to it; set `classic.accept`"), "{said}");
}

/// Everything that the port of Riley answers to these bytes of the older program, up to its end.
fn answer_to(herd: &Herd, bytes: &str) -> String {
    let mut stream = connect_from(CLARK, herd.classic_address("Riley"));
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Address of the older program.
const CLARK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// More than wait for a program that does not accept them.
const REPORTS: usize = 1000;
const CLIENTS: usize = 300;
