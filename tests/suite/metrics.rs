//! Metrics and probes of a node, as a monitoring system and a load balancer see them, and the files of `docs/monitoring` for them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use herd_tests::{Herd, WAIT_MAX, eventually, tool};

/// Status line and headers of an answer, and its body.
struct Answer {
    head: String,
    body: String,
}

/// Asks as any HTTP client would, with this `Accept`.
fn get(address: SocketAddr, path: &str, accept: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: edge-1.example.net\r\naccept: {accept}\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer { head: head.to_lowercase(), body: body.into() }
}

fn scrape(address: SocketAddr) -> String {
    let answer = get(address, "/metrics", "*/*");
    assert!(answer.head.starts_with("http/1.1 200 "), "{}", answer.head);
    answer.body
}

/// Values by name and labels, as they stand in the text, but for the label of the node.
fn values(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.replace("node=\"Riley\",", "").replace("{node=\"Riley\"}", ""), value.parse().unwrap())
    };
    samples.map(value).collect()
}

#[test]
fn metrics_count_what_clients_sent_and_name_none_of_them() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut client = herd.client("Riley");
    for line in ["IAMAT kiwi.example +34-118 1", "IAMAT kiwi.example +34-118 2", "IAMATTER", "WHATSAT nobody 1 1"] {
        client.ask(line);
    }
    let text = scrape(herd.metrics_address("Riley"));
    let values = values(&text);
    let lines = |command| values[&format!("herd_lines_total{{generation=\"1\",command=\"{command}\"}}")];
    assert_eq!([lines("IAMAT"), lines("WHATSAT"), lines("other")], [2.0, 1.0, 1.0], "{text}");
    assert_eq!(values["herd_decisions_total{generation=\"1\",kind=\"inputs\"}"], 4.0);
    assert_eq!(values["herd_call_seconds_count{generation=\"1\"}"], 4.0);
    assert_eq!(values["herd_call_decisions_bucket{generation=\"1\",le=\"1\"}"], 4.0);
    assert_eq!(
        [values["herd_sessions"], values["herd_sessions_accepted_total"], values["herd_records"]],
        [1.0, 1.0, 1.0]
    );
    assert!(values["herd_log_appended_bytes_total"] > 0.0 && values["process_resident_memory_bytes"] > 1e6, "{text}");
    assert_eq!(values["herd_ready"], 1.0);
    assert!(!text.contains("kiwi") && !text.contains("127.0.0.1:"), "{text}");
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let address = herd.metrics_address("Riley");
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    let open = get(address, "/metrics", accept);
    assert!(
        open.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{}",
        open.head
    );
    assert!(open.body.ends_with("# EOF\n") && open.body.contains("# TYPE herd_lines counter\n"), "{}", open.body);
    assert!(open.body.contains("# UNIT herd_call_seconds seconds\n"), "{}", open.body);
    let plain = get(address, "/metrics", "text/plain");
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    assert!(
        plain.body.contains("# TYPE herd_lines_total counter\n") && !plain.body.contains("# EOF"),
        "{}",
        plain.body
    );
    assert!(get(address, "/v1/status", "*/*").head.starts_with("http/1.1 404 "), "nothing else is served here");
}

#[test]
fn probes_say_why_a_node_is_not_ready() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _riley = herd.run("Riley");
    let address = herd.metrics_address("Riley");
    let alone = get(address, "/ready", "*/*");
    assert!(alone.head.starts_with("http/1.1 503 "), "{}", alone.head);
    assert!(alone.body.starts_with("not ready: no link is up"), "{}", alone.body);
    assert_eq!(get(address, "/live", "*/*").body, "alive\n");
    let _jaquez = herd.run("Jaquez");
    eventually("the link comes up", || match get(address, "/ready", "*/*").body {
        ready if ready == "ready\n" => Ok(()),
        other => Err(other),
    });
    assert_eq!(values(&scrape(address))["herd_link_state{peer=\"Jaquez\",state=\"down\"}"], 0.0);
}

#[test]
fn metrics_port_is_bound_only_if_it_is_enabled() {
    let herd = Herd::of_one().with("metrics.enabled=false");
    let _up = herd.up();
    assert!(TcpStream::connect(herd.metrics_address("Riley")).is_err());
}

/// Families of a scrape: name, type and help.
fn families(text: &str) -> Vec<(String, String, String)> {
    let mut helps = BTreeMap::new();
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            helps.insert(name.to_string(), help.to_string());
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.push((name.into(), kind.into(), helps.get(name).cloned().unwrap_or_default()));
        }
    }
    families
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

/// Goal: every metric is documented, in the words of the node. With `HERD_TESTS_WRITE=1` the table is written anew.
#[test]
fn documentation_lists_every_metric() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]).with("classic.accept=[\"192.0.2.7\"]");
    let nobody = herd.address("Jaquez");
    let herd = herd.with_classic("Riley", &[nobody]);
    let _up = herd.up();
    let families = families(&scrape(herd.metrics_address("Riley")));
    assert!(families.len() > 50 && families.iter().all(|(_, _, help)| !help.is_empty()), "{families:?}");
    let row = |(name, kind, help): &(String, String, String)| {
        format!("| `{name}` | {kind} | {} |\n", help.trim_end_matches('.'))
    };
    let table: String = families.iter().map(row).collect();
    let path = docs().join("metrics.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("| --- | --- | --- |\n").unwrap();
    // The whole table, so that rows of metrics that are no more are found, too.
    let (documented, after) = rest.split_at(rest.find("\n\n").map_or(rest.len(), |end| end + 1));
    if std::env::var_os("HERD_TESTS_WRITE").is_some() {
        fs::write(&path, format!("{before}| --- | --- | --- |\n{table}{after}")).unwrap();
        return;
    }
    assert!(documented == table, "docs/metrics.md is out of date; HERD_TESTS_WRITE=1 writes its table anew:\n{table}");
}

/// Goal: Prometheus itself finds nothing to complain of: names, units, help texts, rules.
#[test]
fn prometheus_accepts_metrics_and_alert_rules() {
    let Some(promtool) = tool("promtool", "prometheus") else { return };
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    herd.client("Riley").ask("IAMAT kiwi.example +34-118 1");
    let text = scrape(herd.metrics_address("Riley"));
    let mut check = Command::new(&promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.trim().is_empty(), "{complaints}");
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let checked = Command::new(&promtool).args(arguments).current_dir(docs().join("monitoring")).output().unwrap();
        let told = String::from_utf8_lossy(&checked.stdout) + String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{told}");
    }
}

/// Goal: rules and dashboard ask for metrics that there are.
#[test]
fn dashboard_and_alert_rules_use_metrics_of_a_node() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    let known = families(&scrape(herd.metrics_address("Riley")));
    let is_known = |word: &str| {
        known.iter().any(|(name, kind, _)| {
            let rest = word.strip_prefix(name.as_str());
            rest.is_some_and(|rest| {
                rest.is_empty() || kind == "histogram" && ["_bucket", "_sum", "_count"].contains(&rest)
            })
        })
    };
    for file in ["alerts.yml", "grafana.json"] {
        let text = fs::read_to_string(docs().join("monitoring").join(file)).unwrap();
        let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        let named: Vec<&str> = words.filter(|word| word.starts_with("herd_") || word.starts_with("process_")).collect();
        assert!(named.len() > 5, "{file}");
        for word in named {
            assert!(is_known(word), "{file} uses {word}, which no node has");
        }
    }
}
