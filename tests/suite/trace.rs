//! `herd trace`: the way of a report through a herd, and what it says where a node does not know.

use std::process::Output;

use herd_tests::{Herd, eventually};
use serde_json::Value;

fn pair() -> Herd {
    Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])])
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn report(herd: &Herd, node: &str, client: &str, time: u64) {
    let answer = herd.client(node).ask(&format!("IAMAT {client} +34-118 {time}"));
    assert!(answer.starts_with("AT "), "{answer}");
}

/// The way of the latest report of a client, once this many nodes tell of it.
fn traced(herd: &Herd, client: &str, nodes: usize) -> Value {
    let mut traced = Value::Null;
    eventually("nodes tell of a report", || {
        traced = serde_json::from_str(&stdout(&herd.herd(&["trace", client, "--json"]))).unwrap();
        let hops = hops(&traced).len();
        if hops == nodes { Ok(()) } else { Err(format!("{hops} hops: {traced}")) }
    });
    traced
}

fn hops(traced: &Value) -> &[Value] {
    traced["hops"].as_array().unwrap()
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("no whole number: {value}"))
}

/// Goal: a report is followed over five nodes by links that exist, with times that add up to the difference of their clocks. Method: all
/// nodes run on one machine, where that difference is read from their own times.
#[test]
fn trace_follows_a_report_over_five_nodes_and_its_sums_add_up() {
    let herd = Herd::of_five();
    let _up = herd.up();
    report(&herd, "Campbell", "kiwi", 5);
    herd.await_known("kiwi", &herd.names());
    let traced = traced(&herd, "kiwi", 5);
    let hops = hops(&traced);
    let first = &hops[0];
    assert_eq!((&first["node"], &first["way"], &first["from"]), (&"Campbell".into(), &"client".into(), &Value::Null));
    assert!(first["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{first}");
    let active = &herd.status("Campbell")["generations"]["active"];
    assert_eq!((&first["generation"]["id"], &first["generation"]["digest"]), (&active["id"], &active["digest"]));
    let mut names: Vec<&str> = hops.iter().map(|hop| hop["node"].as_str().unwrap()).collect();
    for hop in &hops[1..] {
        let (node, from) = (hop["node"].as_str().unwrap(), hop["from"].as_str().unwrap());
        assert!(herd.neighbours(node).contains(&from) || herd.neighbours(from).contains(&node), "{hop}");
        let peer = hops.iter().find(|hop| hop["node"] == from).unwrap();
        assert_eq!(whole(&peer["total_ns"]) + whole(&hop["hop_ns"]), whole(&hop["total_ns"]), "{traced}");
        assert_eq!(whole(&hop["at_ns"]) - whole(&first["at_ns"]), whole(&hop["total_ns"]), "one machine, one clock");
        assert!(hop["later"].as_array().unwrap().iter().all(|later| later["outcome"] == "known"), "{traced}");
        assert_eq!((&hop["outcome"], &hop["generation"]["id"]), (&"applied".into(), &1.into()));
    }
    names.sort_unstable();
    let mut all = herd.names();
    all.sort_unstable();
    assert_eq!((names, &traced["lacking"], &traced["errors"]), (all, &serde_json::json!([]), &serde_json::json!({})));

    let page = stdout(&herd.herd(&["trace", "kiwi"]));
    assert!(page.starts_with("kiwi: AT Campbell ") && page.contains("\ncame in at Campbell at 20"), "{page}");
    // Columns are as wide as the times in them.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(page.lines().filter(|line| words(line).contains(" ms same 1 (")).count(), 5, "{page}");

    // An older report of the client loses, and is no way of the one that is traced.
    report(&herd, "Riley", "kiwi", 4);
    let again = self::traced(&herd, "kiwi", 5);
    let riley = self::hops(&again).iter().find(|hop| hop["node"] == "Riley").unwrap();
    let lost: Vec<&Value> =
        riley["later"].as_array().unwrap().iter().filter(|later| later["outcome"] == "outranked").collect();
    assert!(lost.len() == 1 && lost[0]["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{again}");
    let unknown = herd.herd(&["trace", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&unknown.stderr), "herd: no node has a record of nobody\n");
}

/// Goal: a node that does not know when a report came says why, and the others tell what they know. Method: a node that starts anew, one
/// that is down, and a key that an operator forgets.
#[test]
fn trace_says_why_a_node_does_not_know_when_a_report_came() {
    let herd = pair();
    let (mut riley, mut jaquez) = (herd.run("Riley"), herd.run("Jaquez"));
    herd.await_linked(&herd.names());
    report(&herd, "Riley", "kiwi", 5);
    herd.await_known("kiwi", &herd.names());
    traced(&herd, "kiwi", 2);
    jaquez.kill();
    let _jaquez = herd.run("Jaquez");
    herd.await_linked(&herd.names());
    let page = stdout(&herd.herd(&["trace", "kiwi"]));
    assert!(page.ends_with("\nJaquez has it since its start, from its log or an operator\n"), "{page}");
    riley.kill();
    let down = herd.herd(&["trace", "kiwi"]);
    assert_eq!(down.status.code(), Some(1), "a node is down");
    let page = String::from_utf8_lossy(&down.stdout);
    assert!(page.contains("\ncame in at Riley; no node tells when\n"), "{page}");
    assert!(String::from_utf8_lossy(&down.stderr).starts_with("herd: Riley: "));
    let _riley = herd.run("Riley");
    herd.await_linked(&herd.names());
    stdout(&herd.herd(&["forget", "kiwi", "--node", "Jaquez"]));
    traced(&herd, "kiwi", 2);
    let page = stdout(&herd.herd(&["trace", "kiwi"]));
    assert!(page.starts_with("kiwi: forgotten by an operator\nforgotten at Jaquez at 20"), "{page}");
}

#[test]
fn trace_says_that_a_report_is_older_than_what_is_noted() {
    let herd = Herd::of_one().with("trace.arrivals=4").with("trace.addresses=false");
    let _up = herd.up();
    // One session, so that one worker notes all of it.
    let mut client = herd.client("Riley");
    let _ = client.ask("IAMAT kiwi +34-118 5");
    assert_eq!(hops(&traced(&herd, "kiwi", 1))[0]["client"], Value::Null);
    for other in 0..5 {
        let _ = client.ask(&format!("IAMAT plum-{other} +34-118 5"));
    }
    let page = stdout(&herd.herd(&["trace", "kiwi"]));
    assert!(
        page.contains("\ncame in at Riley; no node tells when\n\nRiley has it; it came before the last "),
        "{page}"
    );
}

#[test]
fn trace_says_that_arrivals_are_not_noted() {
    let herd = Herd::of_one().with("trace.arrivals=0");
    let _up = herd.up();
    report(&herd, "Riley", "kiwi", 5);
    let page = stdout(&herd.herd(&["trace", "kiwi"]));
    assert!(page.ends_with("\nRiley has it; arrivals are not noted: trace.arrivals is 0\n"), "{page}");
}
