use super::*;

fn stamp(seq: u64) -> Value {
    json!({ "origin": "Riley", "started_ms": 1, "random": "00", "worker": 0, "seq": seq })
}

fn arrival(at_ns: u64, peer: Option<&str>, outcome: &str) -> Value {
    let way = if peer.is_some() { "peer" } else { "client" };
    json!({ "at_ns": at_ns, "way": way, "peer": peer, "outcome": outcome, "generation": { "id": 1 } })
}

/// Answer of a node on a machine, with arrivals, and links with the offset and the round trip of their peers in milliseconds.
fn answer(machine: &str, arrivals: &[Value], links: &[(&str, f64, f64)]) -> Value {
    let link = |(peer, ahead_ms, round_trip_ms): &(&str, f64, f64)| json!({ "peer": peer, "clock_ahead_ms": ahead_ms, "round_trip_ms": round_trip_ms });
    let record = json!({ "reign": 0, "rank": "05", "record": "AT" });
    json!({ "machine": machine, "capacity": 100, "complete_since_ns": null, "held": { "stamp": stamp(1), "record": record },
        "arrivals": arrivals, "links": links.iter().map(link).collect::<Vec<_>>() })
}

fn path(answers: &[(&str, Value)]) -> TracePath {
    let answers: Vec<(&str, &Value)> = answers.iter().map(|(node, answer)| (*node, answer)).collect();
    TracePath::of(&answers, &stamp(1))
}

/// Node, hop and total of each hop, in nanoseconds.
fn times(path: &TracePath) -> Vec<(&str, Option<i64>, Option<i64>)> {
    path.hops.iter().map(|hop| (hop.node.as_str(), hop.hop_ns, hop.total_ns)).collect()
}

#[test]
fn trace_converts_times_along_the_links_and_its_sums_add_up() {
    // The clock of Jaquez is 5 ms ahead of that of Riley, and that of Bernard 2 ms behind that of Jaquez.
    let riley = answer("a", &[arrival(1_000_000, None, "applied")], &[("Jaquez", 5.0, 0.2)]);
    let jaquez = answer(
        "b",
        &[arrival(6_300_000, Some("Riley"), "applied"), arrival(7_000_000, Some("Bernard"), "known")],
        &[("Riley", -5.0, 0.4), ("Bernard", -2.0, 0.2)],
    );
    let bernard = answer("c", &[arrival(4_700_000, Some("Jaquez"), "applied")], &[]);
    let path = path(&[("Bernard", bernard), ("Jaquez", jaquez), ("Riley", riley)]);
    let wanted =
        [("Riley", None, Some(0)), ("Jaquez", Some(300_000), Some(300_000)), ("Bernard", Some(400_000), Some(700_000))];
    assert_eq!(times(&path), wanted);
    let clocks: Vec<_> = path.hops.iter().map(|hop| hop.clock.unwrap()).collect();
    let clock = |ahead_ns, error_ns| Clock { ahead_ns, error_ns };
    assert_eq!(
        clocks,
        [clock(0, 0), clock(5_000_000, 100_000), clock(3_000_000, 200_000)],
        "of the shorter round trip"
    );
    let [later] = &path.hops[1].later[..] else { panic!("{path:?}") };
    assert_eq!((later.from.as_deref(), later.total_ns), (Some("Bernard"), Some(1_000_000)));
    assert!(path.lacking.is_empty());
}

#[test]
fn trace_measures_no_clock_on_one_machine() {
    let riley = answer("a", &[arrival(100, None, "applied")], &[("Jaquez", 9.0, 0.1)]);
    let jaquez = answer("a", &[arrival(250, Some("Riley"), "applied")], &[("Riley", 9.0, 0.1)]);
    let path = path(&[("Riley", riley), ("Jaquez", jaquez)]);
    assert_eq!(times(&path), [("Riley", None, Some(0)), ("Jaquez", Some(150), Some(150))]);
    assert_eq!(path.hops[1].clock, Some(Clock { ahead_ns: 0, error_ns: 0 }));
}

#[test]
fn trace_without_a_node_in_between_tells_no_times_behind_it() {
    let riley = answer("a", &[arrival(100, None, "applied")], &[]);
    let bernard = answer("a", &[arrival(300, Some("Jaquez"), "applied")], &[]);
    let unmeasured = answer("b", &[arrival(200, Some("Riley"), "applied")], &[]);
    let path = path(&[("Riley", riley), ("Bernard", bernard), ("Juzang", unmeasured)]);
    assert_eq!(times(&path), [("Riley", None, Some(0)), ("Juzang", None, None), ("Bernard", None, None)]);
    assert_eq!((path.hops[1].from.as_deref(), path.hops[2].from.as_deref()), (Some("Riley"), Some("Jaquez")));
}

#[test]
fn trace_says_why_a_node_tells_of_no_arrival() {
    let riley = answer("a", &[arrival(100, None, "applied")], &[]);
    let none = || answer("a", &[], &[]);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut answer = none();
        change(&mut answer);
        answer
    };
    let mut dropped = answer("a", &[arrival(200, Some("Riley"), "known")], &[]);
    // A node that starts anew is sent what it has read from its log.
    let sent_again = dropped.clone();
    dropped["held"]["stamp"] = stamp(2);
    let path = path(&[
        ("Riley", riley),
        ("Started", none()),
        ("Busy", with(&|answer| answer["complete_since_ns"] = 50.into())),
        ("Off", with(&|answer| answer["capacity"] = 0.into())),
        ("Behind", with(&|answer| answer["held"]["stamp"] = stamp(2))),
        ("Empty", with(&|answer| answer["held"] = Value::Null)),
        ("Dropped", dropped),
        ("Again", sent_again),
    ]);
    let why: Vec<&str> = path.lacking.iter().map(|(_, why)| why.as_str()).collect();
    let wanted = [
        "has it since its start, from its log or an operator",
        "has it; it came before the last 100 arrivals",
        "has it; arrivals are not noted: trace.arrivals is 0",
        "has another report, and does not tell of this one",
        "has no report of this client",
        "had an equal or a newer report when it came",
        "has it since its start, from its log or an operator",
    ];
    assert_eq!((why, path.hops.len()), (wanted.to_vec(), 1));
}

#[test]
fn trace_is_of_the_record_that_wins() {
    let with = |seq: u64, reign: u64, rank: &str| {
        let mut answer = answer("a", &[], &[]);
        answer["held"] = json!({ "stamp": stamp(seq), "record": { "reign": reign, "rank": rank, "record": "AT" } });
        answer
    };
    let nothing = json!({ "held": null });
    let answers = [with(1, 0, "0a"), with(2, 1, "01"), with(3, 1, "02"), with(4, 1, "02"), nothing.clone()];
    let answers: Vec<(&str, &Value)> = answers.iter().map(|answer| ("Riley", answer)).collect();
    assert_eq!(winner(&answers).unwrap().0, &stamp(3));
    assert!(winner(&[("Riley", &nothing)]).is_none());
}
