//! Log lines of nodes: their level at run time, and the fields that `docs/logs.md` promises.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use herd_tests::{Fixture, Herd, Process, WAIT_MAX, WATCH};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

/// Types of fields by name, from the table of the page.
fn documented() -> BTreeMap<String, String> {
    let page = fs::read_to_string(root().join("docs/logs.md")).unwrap();
    let (_, table) = page.split_once("| field | type | meaning, unit |\n| --- | --- | --- |\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let field = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert!(cells.len() == 5 && cells[3].len() > 3, "{row}");
        (cells[1].trim_matches('`').to_string(), cells[2].to_string())
    };
    rows.map(field).collect()
}

/// Fields of the lines that a source may log.
fn logged_by(source: &str) -> BTreeSet<String> {
    let code: String = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.split("#[cfg(test)]mod tests {").next().unwrap();
    let mut fields = BTreeSet::new();
    for level in ["error", "warn", "info", "debug", "trace"] {
        let begin = format!("{level}!(");
        let begins = code.match_indices(&begin).map(|(at, _)| &code[at + begin.len()..]);
        fields.extend(begins.flat_map(arguments).filter_map(|argument| field(&argument)));
    }
    fields
}

/// Splits the text behind an opening parenthesis into arguments.
fn arguments(text: &str) -> Vec<String> {
    let (mut arguments, mut depth, mut in_text, mut escaped) = (vec![String::new()], 0, false, false);
    for letter in text.chars() {
        match letter {
            '"' if !escaped => in_text = !in_text,
            '(' | '[' | '{' if !in_text => depth += 1,
            ')' | ']' | '}' if !in_text && depth == 0 => break,
            ')' | ']' | '}' if !in_text => depth -= 1,
            ',' if !in_text && depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        escaped = in_text && letter == '\\' && !escaped;
        arguments.last_mut().unwrap().push(letter);
    }
    arguments
}

/// Returns the name of the field that an argument of a log macro sets; `None` for the message and the target.
fn field(argument: &str) -> Option<String> {
    let argument = argument.trim();
    if argument.is_empty() || argument.starts_with('"') || argument.starts_with("target:") {
        return None;
    }
    let name = argument.split_once(" = ").map_or(argument, |(name, _)| name);
    Some(name.trim_start_matches(['%', '?']).to_string())
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// Goal: the page lists each field that a node may log, and no other. Method: the log macros in the sources of the host are read.
#[test]
fn log_fields_of_the_host_are_those_of_the_page() {
    let crates = fs::read_dir(root().join("host")).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let files = crates.flat_map(|crate_sources| sources(&crate_sources));
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let logged: BTreeSet<String> = files.flat_map(|path| logged_by(&fs::read_to_string(path).unwrap())).collect();
    let documented: BTreeSet<String> = documented().into_keys().collect();
    assert!(logged.len() > 50, "{logged:?}");
    let (missing, unused): (Vec<_>, Vec<_>) =
        (logged.difference(&documented).collect(), documented.difference(&logged).collect());
    assert!(missing.is_empty() && unused.is_empty(), "not in docs/logs.md: {missing:?}; logged nowhere: {unused:?}");
}

/// Goal: what nodes really print has the form and the types of the page. Method: a herd that logs all it can goes through its life: reports,
/// strangers, an operator, a faulty guest, a drain.
#[test]
fn log_lines_in_json_have_the_fields_and_types_of_the_page() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]).with("sessions.sessions_max=3");
    let mut up = herd.begin(&["up", "--log-json", "--log", "debug"]);
    up.await_line("herd ready");
    let mut client = herd.client("Riley");
    client.ask("IAMAT kiwi.example +34.0689-118.4451 1");
    client.ask_places("WHATSAT kiwi.example 1 1");
    let _others = herd.clients_until_refused("Riley", 10);
    stranger(&herd);
    let backup = herd.scratch().path("backup").display().to_string();
    herd.swap(WATCH, &[]).unwrap();
    let trap = Fixture::Trap.path().display().to_string();
    let commands: [&[&str]; 8] = [
        &["forget", "kiwi.example"],
        &["backup", &backup, "--node", "Riley"],
        &["restore", &backup, "--node", "Riley"],
        &["rollback"],
        &["swap", &trap, "--node", "Riley", "--unrehearsed"],
        &["rollback", "--node", "Riley"],
        &["log", "info"],
        &["log", "debug"],
    ];
    for arguments in commands {
        if arguments[0] == "rollback" {
            // The faulty guest meets a line before it goes.
            herd.client("Jaquez").ask("IAMAT kiwi.example +34.0689-118.4451 1");
        }
        let output = herd.herd(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    drop(client);
    up.terminate();
    up.wait();
    let log = up.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let (types, mut seen) = (documented(), BTreeSet::new());
    for line in &lines {
        let keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["fields", "level", "target", "timestamp"], "{line}");
        assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&line["level"].as_str().unwrap()), "{line}");
        let is_utc = line["timestamp"].as_str().is_some_and(|at| at.len() == 27 && at.ends_with('Z'));
        assert!(is_utc && line["fields"]["message"].is_string(), "{line}");
        // Libraries have fields of their own.
        let target = line["target"].as_str().unwrap();
        if !target.starts_with("herd") && target != "guest" {
            continue;
        }
        for (name, value) in line["fields"].as_object().unwrap().iter().filter(|(name, _)| *name != "message") {
            let kind = match value {
                Value::String(_) => "text",
                Value::Number(_) => "number",
                Value::Bool(_) => "true or false",
                other => panic!("{name} is {other}: {line}"),
            };
            assert_eq!(types.get(name).map(String::as_str), Some(kind), "{name}: {line}");
            seen.insert(name.as_str());
        }
    }
    let wanted =
        ["address", "before", "bytes", "client.addr", "digest", "limit", "operator", "peer", "suppressed", "won"];
    let missing: Vec<_> = wanted.into_iter().filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?} were not logged:\n{log}");
    assert!(!log.contains("kiwi") && !log.contains("34.0689"), "no names of clients and no positions:\n{log}");
}

/// Connects to the link port of a node as somebody who knows nothing of it, until the node hangs up.
fn stranger(herd: &Herd) {
    let mut stream = TcpStream::connect(herd.link_address("Riley")).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
}

fn run(herd: &Herd, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = herd.herd(arguments);
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn ok(text: &str) -> (Option<i32>, String, String) {
    (Some(0), text.into(), String::new())
}

/// Number of lines of a log at the level `debug`, after a request to an upstream.
fn debug_lines(herd: &Herd, node: &Process) -> usize {
    herd.client("Riley").ask_places("WHATSAT kiwi 1 1");
    node.log().lines().filter(|line| line.contains("DEBUG")).count()
}

/// Goal: an operator sees and changes what running nodes log, each or all, and it is in the audit log. Method: a question causes a line at
/// `debug`, which is logged only in between.
#[test]
fn log_level_of_running_nodes_is_shown_and_changed() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let riley = herd.run_with("Riley", &[]);
    let _jaquez = herd.run("Jaquez");
    let before = "info,guest=debug";
    herd.client("Riley").ask("IAMAT kiwi +34-118 1");
    assert_eq!(run(&herd, &["log", "Riley"]), ok(&format!("Riley: {before}\n")));
    assert_eq!(debug_lines(&herd, &riley), 0);
    assert_eq!(
        run(&herd, &["log", "Riley", "info,herd_upstreams=debug"]),
        ok(&format!("Riley: info,herd_upstreams=debug, before {before}\n"))
    );
    assert!(debug_lines(&herd, &riley) > 0);
    let (code, told, _) = run(&herd, &["log"]);
    let lines: BTreeSet<&str> = told.lines().collect();
    assert_eq!((code, lines), (Some(0), [&*format!("Jaquez: {before}"), "Riley: info,herd_upstreams=debug"].into()));
    assert_eq!(run(&herd, &["log", "warn"]).0, Some(0), "all nodes");
    let known = debug_lines(&herd, &riley);
    assert_eq!(debug_lines(&herd, &riley), known);
    let answers: Value = serde_json::from_str(&run(&herd, &["log", "--json"]).1).unwrap();
    assert_eq!((&answers["Riley"]["filter"], &answers["Jaquez"]["filter"]), (&"warn".into(), &"warn".into()));

    let (code, _, problem) = run(&herd, &["log", "Riley", "debgu"]);
    assert_eq!((code, &*problem), (Some(1), "herd: `debgu` is neither a node nor a level; did you mean `debug`?\n"));
    let (code, _, problem) = run(&herd, &["log", "info,peers=debug"]);
    let wanted =
        "herd: log filter `info,peers=debug`: `peers` is no part of this program; did you mean `herd_peers`?\n";
    assert_eq!((code, &*problem), (Some(1), wanted));

    let audit: Vec<Value> = serde_json::from_str::<Value>(&run(&herd, &["audit", "--node", "Riley", "--json"]).1)
        .map(|audit| entries(&audit))
        .unwrap();
    let changes: Vec<&str> =
        audit.iter().filter(|entry| entry["stage"] == "log_filter").filter_map(|entry| entry["why"].as_str()).collect();
    assert_eq!(
        changes,
        [&*format!("info,herd_upstreams=debug, before {before}"), "warn, before info,herd_upstreams=debug"]
    );
}

/// Every object with a stage, wherever it stands in an answer.
fn entries(audit: &Value) -> Vec<Value> {
    let own = audit.get("stage").map(|_| audit.clone());
    let inner: Vec<&Value> = match audit {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => vec![],
    };
    own.into_iter().chain(inner.into_iter().flat_map(entries)).collect()
}

/// Goal: a change covers all nodes of a process, and the command says so.
#[test]
fn log_level_is_that_of_the_process_and_the_command_names_its_other_nodes() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    let told = "Riley: debug, before info,guest=debug\nalso Jaquez, in the same process\n";
    assert_eq!(run(&herd, &["log", "Riley", "debug"]), ok(told));
    let all: BTreeSet<String> = run(&herd, &["log"]).1.lines().map(Into::into).collect();
    assert_eq!(all, ["Jaquez: debug".to_string(), "Riley: debug".into()].into());
}
