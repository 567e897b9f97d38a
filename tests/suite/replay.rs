//! Recording of decisions and `herd replay`: what a node decided is decided again, bit for bit, and what another guest changes is found.

use std::path::{Path, PathBuf};

use herd_tests::{Behaviour, DEFAULT_GUEST, Fixture, Herd, Process, RESP, eventually};
use serde_json::Value;

/// A herd whose nodes record.
fn recording(nodes: &[(&str, &[&str])]) -> Herd {
    Herd::of(nodes).with("record.enabled=true")
}

/// Stops the nodes in order: what they decided is in their logs.
fn stop(mut up: Process) {
    up.terminate();
    assert!(up.wait().success());
}

/// Folder of the recording of a node.
fn log(herd: &Herd, node: &str) -> String {
    herd.state_directory().join("recordings").join(node).to_string_lossy().into_owned()
}

/// Runs `herd replay` with `--json`. Returns the result, and whether the command succeeded.
fn replay(herd: &Herd, log: &str, arguments: &[&str]) -> (Value, bool) {
    let output = herd.herd(&[&["replay", log, "--json"], arguments].concat());
    let result = serde_json::from_slice(&output.stdout);
    (result.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))), output.status.success())
}

/// Runs a command; returns its standard output, its standard error and whether it succeeded.
fn run(herd: &Herd, arguments: &[&str]) -> (String, String, bool) {
    let output = herd.herd(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.success())
}

/// Waits until the node wrote this many decisions.
fn await_recorded(herd: &Herd, node: &str, decisions: u64) {
    eventually(&format!("{decisions} decisions in the recording of {node}"), || {
        let recording = &herd.status(node)["recording"];
        let recorded = recording["recorded"].as_u64().unwrap_or_default();
        if recorded >= decisions { Ok(()) } else { Err(recording.to_string()) }
    });
}

/// Number of the first decision that differs, or 0.
fn first(replayed: &Value) -> u64 {
    replayed["differences"][0]["first"]["decision"].as_u64().unwrap_or_default()
}

/// Goal: a log holds all that a decision depends on. Method: every kind of call with the default logic, replayed in the component and
/// natively.
#[test]
fn replay_is_bit_exact_in_the_component_and_natively() {
    let herd = recording(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    herd.places().behave(Behaviour::Results(3));
    let up = herd.up();
    let mut client = herd.client("Riley");
    for number in 0..50 {
        assert!(
            client
                .ask(&format!("IAMAT kiwi-{number} +34.07-118.45 {}", 1_479_413_884 + number))
                .starts_with("AT Riley ")
        );
    }
    client.ask_places("WHATSAT kiwi-3 10 2");
    client.send("IAMAT one +1+1 1\nIAMAT two +1+1 1\nnonsense\nWHATSAT nobody 10 5\n");
    (0..4).for_each(|_| drop(client.line()));
    herd.await_known("kiwi-49", &["Jaquez"]);
    herd.client("Jaquez").ask_places("WHATSAT kiwi-3 10 2");
    stop(up);
    for (node, least) in [("Riley", 53), ("Jaquez", 50)] {
        for arguments in [&[][..], &["--native"], &["--guest", DEFAULT_GUEST], &["--threads", "1"]] {
            let (replayed, same) = replay(&herd, &log(&herd, node), arguments);
            let count = |name: &str| replayed[name].as_u64().unwrap();
            assert!(same && count("decisions") >= least, "{node} {arguments:?}: {replayed}");
            assert_eq!(
                (count("exact"), count("missing_reads")),
                (count("decisions"), 0),
                "{node} {arguments:?}: {replayed}"
            );
        }
    }
}

#[test]
fn replay_finds_what_another_guest_changes_by_command_and_field() {
    let herd = recording(&[("Riley", &[])]);
    let up = herd.up();
    let mut client = herd.client("Riley");
    for number in 0..20 {
        client.ask(&format!("IAMAT kiwi-{number} +34-118 1479413884.5"));
        client.ask("nonsense");
    }
    client.send("IAMAT more +34-118 1\nnonsense\nIAMAT last +34-118 1\n");
    (0..3).for_each(|_| drop(client.line()));
    stop(up);
    let log = log(&herd, "Riley");
    let rounder = Fixture::Rounder.path().to_string_lossy().into_owned();
    let (replayed, same) = replay(&herd, &log, &["--guest", &rounder]);
    assert!(!same);
    let differences = replayed["differences"].as_array().unwrap();
    assert!(differences.iter().all(|one| one["command"] == "IAMAT" && one["count"] == 22), "{replayed}");
    let reply = differences.iter().find(|one| one["effect"] == "reply" && one["part"] == "").unwrap();
    assert_eq!((&reply["line"], &reply["field"]), (&1.into(), &3.into()));
    assert!(reply["first"]["input"].as_str().unwrap().contains("IAMAT kiwi-0 +34-118"), "{reply}");
    assert_eq!(replayed["missing_reads"], 0);

    let directory = herd.scratch().path("cases");
    let directory = directory.to_string_lossy();
    let (text, _, same) = run(&herd, &["replay", &log, "--guest", &rounder, "--as-transcripts", &directory]);
    assert!(!same && text.contains("IAMAT") && text.contains("reply line 1 field 3"), "{text}");
    let passes = |guest: &str| run(&herd, &["test", guest, &directory]).2;
    assert!(passes(DEFAULT_GUEST) && !passes(&rounder), "the case tells the two guests apart");
    let (case, blessed) = (Path::new(&*directory).join("iamat-riley-1.herd"), "# blessed by a person\n");
    std::fs::write(&case, blessed).unwrap();
    let (text, ..) = run(&herd, &["replay", &log, "--guest", &rounder, "--as-transcripts", &directory]);
    assert!(text.contains("kept      iamat-riley-1.herd"), "{text}");
    assert_eq!(std::fs::read_to_string(&case).unwrap(), blessed);

    let number = first(&replayed).to_string();
    let (text, _, same) = run(&herd, &["replay", &log, "--decision", &number]);
    assert!(same && text.contains("bit for bit"), "{text}");
    for shown in ["IAMAT kiwi-0", "keep \"kiwi-0\"", "reply \"AT Riley", "of session ", "random", "consumed "] {
        assert!(text.contains(shown), "{shown} is missing:\n{text}");
    }
    let (text, _, same) = run(&herd, &["replay", &log, "--decision", &number, "--guest", &rounder]);
    assert!(!same && text.contains("it decides otherwise"), "{text}");
    let (_, error, _) = run(&herd, &["replay", &log, "--decision", "999999"]);
    assert!(error.contains("the log holds the decisions 1 to ") && error.contains("and not 999999"), "{error}");
}

#[test]
fn replay_repeats_faults_and_what_the_fallback_decided() {
    let herd = recording(&[("Riley", &[])]);
    let up = herd.up();
    let mut client = herd.client("Riley");
    client.ask("IAMAT kiwi +34-118 1");
    herd.swap_with(Fixture::Trap, &["--unrehearsed"]).unwrap();
    assert_eq!(client.ask("BOOM"), "? BOOM");
    client.ask("hello");
    stop(up);
    let log = log(&herd, "Riley");
    let (replayed, same) = replay(&herd, &log, &[]);
    assert!(same && replayed["guests"].as_array().unwrap().len() == 2, "{replayed}");
    assert_eq!(replayed["decisions"], 4, "the fault is one of them");
    let (replayed, same) = replay(&herd, &log, &["--native"]);
    assert!(!same, "{replayed}");
    let faulted = replayed["differences"].as_array().unwrap().iter().find(|one| one["effect"] == "fault").unwrap();
    assert!(faulted["first"]["before"].as_str().unwrap().contains("the bottom fell out"), "{faulted}");
    let number = faulted["first"]["decision"].to_string();
    let (text, _, same) = run(&herd, &["replay", &log, "--decision", &number]);
    assert!(same && text.contains("\nfaulted   trap: ") && text.contains("\nfault     trap: "), "{text}");
    assert!(!text.contains('\x1b'), "escapes of a guest stay out of the terminal: {text:?}");
}

#[test]
fn replay_decides_with_the_settings_of_each_run_of_a_node() {
    let herd = recording(&[("Riley", &[])]);
    for settings in [&[][..], &["logic.close_after_reply=true"], &[]] {
        let up = herd.run_with("Riley", settings);
        herd.client("Riley").ask("IAMAT kiwi +34-118 1");
        stop(up);
    }
    for arguments in [&[][..], &["--native"], &["--guest", DEFAULT_GUEST]] {
        let arguments = [arguments, &["--threads", "1"]].concat();
        let (replayed, same) = replay(&herd, &log(&herd, "Riley"), &arguments);
        assert!(same && replayed["exact"] == 3, "{arguments:?}: {replayed}");
        assert_eq!(replayed["guests"].as_array().unwrap().len(), 1, "{replayed}");
    }
}

#[test]
fn replay_as_transcripts_takes_a_guest_that_the_log_had_no_room_for() {
    let herd = recording(&[("Riley", &[])]).with("record.mib_max=4");
    let up = herd.run("Riley");
    herd.client("Riley").ask("IAMAT kiwi +34-118 1");
    stop(up);
    let (log, directory) = (log(&herd, "Riley"), herd.scratch().path("cases"));
    let directory = directory.to_string_lossy();
    let (_, error, same) = run(&herd, &["replay", &log]);
    assert!(!same && error.contains("name its file with --guest"), "{error}");
    let rounder = Fixture::Rounder.path().to_string_lossy().into_owned();
    let (_, error, same) = run(&herd, &["replay", &log, "--guest", &rounder, "--as-transcripts", &directory]);
    assert!(!same && error.contains("so write them with its file as --guest"), "{error}");
    let (text, error, same) = run(&herd, &["replay", &log, "--guest", DEFAULT_GUEST, "--as-transcripts", &directory]);
    assert!(same && text.contains("1 in "), "{text}{error}");
    assert!(run(&herd, &["test", DEFAULT_GUEST, &directory]).2);
}

/// Goal: a redacted log shows no client and is as exact as the first one. Method: dialogues with upstreams, whose answers hold names, too.
#[test]
fn record_redact_hides_clients_and_replays_bit_for_bit() {
    let herd = recording(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    herd.places().behave(Behaviour::Results(3));
    let up = herd.up();
    let mut client = herd.client("Riley");
    client.ask("IAMAT secret-kiwi +34.068930-118.445127 1479413884");
    client.ask("IAMAT 5551234567 +12.345678-98.765432 1479413884");
    client.ask_places("WHATSAT secret-kiwi 10 2");
    client.ask("hunter2 5551234567");
    herd.await_known("5551234567", &["Jaquez"]);
    stop(up);
    for node in ["Riley", "Jaquez"] {
        let out = herd.scratch().path(&format!("{node}.rec"));
        let out = out.to_string_lossy();
        let (text, error, done) = run(&herd, &["record", "redact", &log(&herd, node), "--out", &out]);
        assert!(done && text.contains(" names redacted to "), "{text}{error}");
        assert!(!text.contains("other effects"), "{text}");
        let bytes = std::fs::read(&*out).unwrap();
        for hidden in ["secret-kiwi", "34.068930", "118.445127", "5551234567", "12.345678", "hunter2"] {
            let found = bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes());
            assert!(!found, "{hidden} is in the redacted log of {node}");
        }
        let (replayed, same) = replay(&herd, &out, &[]);
        assert!(same && replayed["exact"] == replayed["decisions"], "{replayed}");
        let (first, _) = replay(&herd, &log(&herd, node), &[]);
        assert_eq!(first["decisions"], replayed["decisions"]);
        let (_, error, again) = run(&herd, &["record", "redact", &log(&herd, node), "--out", &out]);
        assert!(!again && error.contains("exists; name another file"), "{error}");
    }
}

/// Goal: a redaction that changes what a command means does not pass for one that replays. Method: the lengths of the redis protocol, which
/// are digits like any other.
#[test]
fn record_redact_fails_where_the_guest_decides_otherwise() {
    let herd = recording(&[("Riley", &[])]).with_guest(RESP);
    let up = herd.run("Riley");
    let mut client = herd.client("Riley");
    client.send("*3\r\n$3\r\nSET\r\n$4\r\nkiwi\r\n$2\r\n+1\r\n");
    assert_eq!(client.line().trim_end(), "+OK");
    stop(up);
    let (out, key) = (herd.scratch().path("redacted.rec"), herd.scratch().path("key"));
    std::fs::write(&key, "always the same secret").unwrap();
    let [out, key] = [&out, &key].map(|path| path.to_string_lossy());
    let (text, error, done) =
        run(&herd, &["record", "redact", &log(&herd, "Riley"), "--out", &out, "--key-file", &key]);
    assert!(!done && text.contains("decide 1 calls with other effects"), "{text}{error}");
}

#[test]
fn replay_names_the_place_of_a_damage_and_leaves_out_an_unfinished_block() {
    let herd = recording(&[("Riley", &[])]);
    let up = herd.up();
    herd.client("Riley").ask("IAMAT kiwi +34-118 1");
    await_recorded(&herd, "Riley", 1);
    herd.client("Riley").ask("IAMAT mango +34-118 1");
    stop(up);
    let segment = segments(&herd, "Riley").remove(0);
    let whole = std::fs::read(&segment).unwrap();
    let copy = herd.scratch().path("copy.rec");
    let shown = copy.to_string_lossy();
    let mut damaged = whole.clone();
    let last = damaged.len() - 5;
    damaged[last] ^= 1;
    std::fs::write(&copy, damaged).unwrap();
    let (text, error, same) = run(&herd, &["replay", &shown]);
    assert!(!same && error.contains("copy.rec is damaged at byte ") && error.contains("intact up to there"), "{error}");
    assert!(text.contains("1 decision on") && text.contains("same      1 decision"), "{text}");
    let (replayed, same) = replay(&herd, &shown, &[]);
    assert!(!same && replayed["decisions"] == 1, "{replayed}");
    assert!(replayed["damage"].as_str().unwrap().contains("copy.rec is damaged at byte "), "{replayed}");
    std::fs::write(&copy, &whole[..whole.len() - 5]).unwrap();
    let (text, error, same) = run(&herd, &["replay", &shown]);
    assert!(same && error.contains("was not written to its end") && text.contains("1 decision on"), "{text}{error}");
    std::fs::write(&copy, "# a transcript\n").unwrap();
    let (_, error, same) = run(&herd, &["replay", &shown]);
    assert!(!same && error.contains("is no log of decisions"), "{error}");
}

#[test]
fn recording_goes_on_after_a_restart_and_shows_in_the_status() {
    let herd = recording(&[("Riley", &[])]);
    for _ in 0..2 {
        let up = herd.up();
        herd.client("Riley").ask("IAMAT kiwi +34-118 1");
        await_recorded(&herd, "Riley", 1);
        let status = &herd.status("Riley")["recording"];
        assert_eq!((&status["lost"], &status["failed"]), (&0.into(), &false.into()));
        stop(up);
    }
    assert_eq!(segments(&herd, "Riley").len(), 2);
    let (replayed, same) = replay(&herd, &log(&herd, "Riley"), &[]);
    assert!(same && replayed["decisions"] == 2, "{replayed}");
}

fn segments(herd: &Herd, node: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(&log(herd, node))).unwrap();
    let mut segments: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    segments
}
