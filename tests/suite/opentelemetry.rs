//! Traces of lines and of reports, as a collector of OpenTelemetry receives them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use herd_tests::{Behaviour, CollectedSpan, Collector, Herd, Reaction, WAIT_MAX, eventually};

/// Names of spans, sorted.
fn names(spans: &[CollectedSpan]) -> Vec<&str> {
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[track_caller]
fn named<'a>(spans: &'a [CollectedSpan], name: &str) -> &'a CollectedSpan {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

/// Checks that all spans but the root lie below it, and within its times.
#[track_caller]
fn check_below_root(spans: &[CollectedSpan]) {
    let root = named(spans, "line");
    assert_eq!((&*root.parent, root.kind, &root.failure), ("", 2, &None), "{root:?}");
    for span in spans.iter().filter(|span| span.id != root.id) {
        assert_eq!(span.parent, root.id, "{span:?}");
        let [begin, end] = span.times_ns;
        assert!(root.times_ns[0] <= begin && begin <= end && end <= root.times_ns[1], "{span:?} in {root:?}");
    }
}

/// Value of a metric of Riley.
fn metric(herd: &Herd, name: &str) -> f64 {
    let text = herd.scrape("Riley").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn dropped(herd: &Herd, reason: &str) -> f64 {
    metric(herd, &format!("herd_trace_spans_dropped_total{{node=\"Riley\",reason=\"{reason}\"}}"))
}

fn exported(herd: &Herd) -> f64 {
    metric(herd, "herd_trace_spans_exported_total{node=\"Riley\"}")
}

/// Goal: a line is traced from its receipt until its reply is in the socket: decision, keep, wait for the disk, requests to upstreams. Nothing
/// of what the client sent is in the trace. Method: every line is traced; replies wait for the disk.
#[test]
fn traced_line_has_a_span_for_each_step_from_socket_to_reply() {
    let collector = Collector::start();
    let herd = Herd::of_one().with(&collector.setting()).with("trace.sample=1.0").with("records.durability=\"disk\"");
    let _up = herd.up();
    herd.places().behave(Behaviour::Results(1));
    let mut client = herd.client("Riley");
    // Several, because the disk may have one before its reply has to wait.
    for time in 1..10 {
        assert!(client.ask(&format!("IAMAT kiwi.example +34.0689-118.4451 {time}")).starts_with("AT "));
    }
    let wanted = ["decide", "keep", "line", "reply", "sync"];
    let report = collector.await_trace("the trace of a report", |spans| names(spans) == wanted);
    check_below_root(&report);
    let order = ["decide", "keep", "sync", "reply"].map(|name| named(&report, name).times_ns[0]);
    assert!(order.is_sorted(), "{report:#?}");
    let (root, keep, decide) = (named(&report, "line"), named(&report, "keep"), named(&report, "decide"));
    assert_eq!((&*root.attributes["herd.input.lines"], &*root.attributes["network.transport"]), ("1", "tcp"));
    assert_eq!((&*keep.attributes["herd.keeps"], &*keep.attributes["herd.keeps.applied"]), ("1", "1"));
    assert_eq!((&*decide.attributes["herd.generation"], &*decide.attributes["herd.call.inputs"]), ("1", "1"));

    assert!(client.ask_places("WHATSAT kiwi.example 1 1").1.is_some());
    let question = collector.await_trace("the trace of a question", |spans| {
        spans.iter().any(|span| span.name == "fetch") && spans.iter().any(|span| span.name == "line")
    });
    assert_eq!(names(&question), ["decide", "decide", "fetch", "line", "reply"]);
    check_below_root(&question);
    let fetch = named(&question, "fetch");
    assert_eq!((fetch.kind, &*fetch.attributes["herd.upstream"]), (3, "google-legacy"));
    assert_eq!(fetch.attributes["http.response.status_code"], "200");

    herd.places().behave(Behaviour::Close);
    client.ask_places("WHATSAT kiwi.example 1 1");
    let failed = collector.await_trace("the trace of a failed fetch", |spans| {
        spans.iter().any(|span| span.failure.is_some()) && spans.iter().any(|span| span.name == "line")
    });
    let failed = named(&failed, "fetch");
    assert_eq!(failed.failure.as_ref(), failed.attributes.get("error.type"));

    // Several lines that come together are one input.
    client.send("IAMAT kiwi.example +34.0689-118.4451 12\nIAMAT kiwi.example +34.0689-118.4451 13\n");
    (0..2).for_each(|_| drop(client.line()));
    let together = collector.await_trace("the trace of two lines", |spans| {
        spans.iter().any(|span| span.attributes.get("herd.input.lines").is_some_and(|lines| lines == "2"))
    });
    assert_eq!(named(&together, "keep").attributes["herd.keeps"], "2");

    let bodies = collector.bodies().concat();
    for word in ["kiwi", "34.0689", "118.4451", "Place 1", herd_tests::Places::SECRET, "127.0.0.1"] {
        assert!(!bodies.contains(word), "{word} in {bodies}");
    }
    eventually("all spans are counted", || match (exported(&herd), collector.spans().len()) {
        (counted, taken) if counted == taken as f64 => Ok(()),
        counts => Err(format!("{counts:?}")),
    });
}

/// Goal: a reply that waits for a peer shows that wait, and the report is on its way meanwhile.
#[test]
fn traced_line_shows_the_wait_for_a_peer() {
    let collector = Collector::start();
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let herd = herd.with(&collector.setting()).with("trace.sample=1.0").with("records.ack=1");
    let _up = herd.up();
    // Several, because the peer may have one before its reply has to wait.
    let mut client = herd.client("Riley");
    (1..10).for_each(|time| assert!(client.ask(&format!("IAMAT kiwi +34-118 {time}")).starts_with("AT ")));
    let trace = collector.await_trace("the trace with the peer", |spans| {
        ["acknowledge", "line", "apply"].iter().all(|name| spans.iter().any(|span| span.name == *name))
    });
    let of_riley: Vec<CollectedSpan> = trace.iter().filter(|span| span.node == "Riley").cloned().collect();
    check_below_root(&of_riley);
    let (acknowledge, apply) = (named(&trace, "acknowledge"), named(&trace, "apply"));
    assert!(acknowledge.times_ns[1] >= apply.times_ns[0], "one clock: {trace:#?}");
}

/// Goal: the way of a report over three nodes is one trace. Method: nodes in a row; the spans of each hop lead back to the keep of the first.
#[test]
fn report_over_three_nodes_is_one_trace() {
    let collector = Collector::start();
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Bernard"]), ("Bernard", &[])]);
    let herd = herd.with(&collector.setting()).with("trace.sample=1.0");
    let _up = herd.up();
    assert!(herd.client("Riley").ask("IAMAT kiwi +34-118 1").starts_with("AT "));
    let trace = collector.await_trace("the trace over three nodes", |spans| {
        let nodes: BTreeSet<&str> = spans.iter().map(|span| span.node.as_str()).collect();
        nodes.len() == 3 && spans.iter().any(|span| span.name == "line")
    });
    let at = |node: &str, name: &str| {
        let found = trace.iter().find(|span| span.node == node && span.name == name);
        found.unwrap_or_else(|| panic!("no {name} of {node}: {trace:#?}"))
    };
    let mut above = at("Riley", "keep");
    for (node, peer) in [("Jaquez", "Riley"), ("Bernard", "Jaquez")] {
        let (link, apply) = (at(node, "link"), at(node, "apply"));
        assert_eq!((&link.parent, &apply.parent), (&above.id, &link.id), "{trace:#?}");
        assert_eq!((link.kind, &*link.attributes["herd.peer"]), (5, peer));
        assert_eq!((&*apply.attributes["herd.outcome"], &*apply.attributes["herd.generation"]), ("applied", "1"));
        assert!(above.times_ns[0] <= link.times_ns[0] && link.times_ns[1] == apply.times_ns[0], "{trace:#?}");
        above = apply;
    }
    let hops = trace.iter().filter(|span| span.name == "link").count();
    assert_eq!(hops, 2, "each node once: {trace:#?}");
}

/// Goal: a node that does not trace passes the trace on, so that the way behind it is in it. Method: the node in the middle has no collector.
#[test]
fn report_keeps_its_trace_behind_a_node_that_does_not_trace() {
    let collector = Collector::start();
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Bernard"]), ("Bernard", &[])]);
    let setting = collector.setting();
    let tracing = [setting.as_str(), "trace.sample=1.0"];
    let _nodes = [herd.run_with("Riley", &tracing), herd.run("Jaquez"), herd.run_with("Bernard", &tracing)];
    herd.await_linked(&herd.names());
    assert!(herd.client("Riley").ask("IAMAT kiwi +34-118 1").starts_with("AT "));
    let trace = collector.await_trace("the trace behind", |spans| {
        ["apply", "line"].iter().all(|name| spans.iter().any(|span| span.name == *name))
    });
    let link = named(&trace, "link");
    assert_eq!((&*link.node, &link.parent), ("Bernard", &named(&trace, "keep").id), "{trace:#?}");
    assert_eq!(link.attributes["herd.peer"], "Jaquez");
}

/// Goal: a collector that is away, fails or refuses costs spans, which are counted, and nothing else. Method: one that fails at first, then
/// refuses some, then takes all.
#[test]
fn spans_that_the_collector_does_not_take_are_counted() {
    let collector = Collector::start();
    collector.react(Reaction::Status(503));
    let herd = Herd::of_one().with(&collector.setting()).with("trace.sample=1.0");
    let up = herd.up();
    let mut client = herd.client("Riley");
    let mut line = 0;
    let mut until = |what: &str, reached: &dyn Fn() -> bool| {
        eventually(what, || {
            line += 1;
            assert!(client.ask(&format!("IAMAT kiwi +34-118 {line}")).starts_with("AT "));
            if reached() { Ok(()) } else { Err("not yet".into()) }
        });
    };
    until("spans are dropped", &|| dropped(&herd, "collector") > 0.0);
    assert_eq!((exported(&herd), dropped(&herd, "rejected")), (0.0, 0.0));
    up.await_log(&["the collector does not take spans", "HTTP status 503"]);
    collector.react(Reaction::Rejects(1));
    until("a span is refused", &|| dropped(&herd, "rejected") > 0.0);
    up.await_log(&["the collector takes spans again"]);
    assert_eq!(up.log().matches("the collector does not take spans").count(), 1, "once for an outage");
    collector.react(Reaction::Takes);
    let before = exported(&herd);
    until("spans are taken", &|| exported(&herd) > before);
    assert_eq!(dropped(&herd, "queue"), 0.0);
}

/// Goal: spans of the last lines are exported in a drain, and a collector that never answers holds up its end for a bounded time only.
#[test]
fn drain_exports_the_last_spans_and_waits_for_no_collector_that_hangs() {
    for reaction in [Reaction::Takes, Reaction::Hangs] {
        let collector = Collector::start();
        collector.react(reaction);
        let herd = Herd::of_one().with(&collector.setting()).with("trace.sample=1.0");
        let mut up = herd.up();
        assert!(herd.client("Riley").ask("IAMAT kiwi +34-118 1").starts_with("AT "));
        let begun = Instant::now();
        up.terminate();
        assert_eq!(up.wait().code(), Some(0), "within {WAIT_MAX:?}: {:?}", begun.elapsed());
        match reaction {
            Reaction::Takes => assert_eq!(names(&collector.spans()), ["decide", "keep", "line", "reply"]),
            _ => assert_eq!((collector.connections(), collector.spans()), (1, vec![])),
        }
    }
}

/// Attributes that sources set on spans.
fn attributes_of(path: &str) -> BTreeSet<String> {
    let source = std::fs::read_to_string(root().join(path)).unwrap();
    let set = source.split(".with(\"").skip(1).filter_map(|rest| rest.split('"').next());
    set.map(Into::into).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// First cells of the rows of a table of the page.
fn documented(head: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(root().join("docs/opentelemetry.md")).unwrap();
    let (_, table) = page.split_once(head).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').nth(1).unwrap().trim().trim_matches('`').to_string()).collect()
}

/// Goal: the page lists each attribute and each span, and no other. Method: attributes are read from the sources; the names of spans are those
/// that the other tests of this file ask for.
#[test]
fn documentation_lists_every_attribute_of_spans() {
    let mut set = attributes_of("host/sessions/src/core/line_trace.rs");
    set.extend(attributes_of("host/node/src/traces.rs"));
    assert_eq!(documented("| attribute | span | meaning |"), set);
    let spans = ["line", "decide", "keep", "sync", "acknowledge", "fetch", "reply", "link", "apply"];
    assert_eq!(documented("| span | kind | below | step |"), spans.map(String::from).into());
}

/// Goal: without a collector in the configuration nothing is traced, and with a sample of 0 no connection is made.
#[test]
fn tracing_that_is_off_makes_no_connection() {
    let collector = Collector::start();
    for settings in [&["trace.sample=1.0"][..], &[&collector.setting(), "trace.sample=0.0"]] {
        let herd = settings.iter().fold(Herd::of_one(), |herd, setting| herd.with(setting));
        let mut up = herd.up();
        assert!(herd.client("Riley").ask("IAMAT kiwi +34-118 1").starts_with("AT "));
        assert_eq!((exported(&herd), dropped(&herd, "queue"), dropped(&herd, "collector")), (0.0, 0.0, 0.0));
        up.terminate();
        assert_eq!(up.wait().code(), Some(0));
    }
    assert_eq!(collector.connections(), 0);
}
