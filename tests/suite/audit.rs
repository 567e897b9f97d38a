//! Audit log: entries for every stage of a swap, detection of edited or shortened logs, and write failures.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use herd_tests::{Fixture, HELLO, Herd};
use serde_json::Value;

/// Goal: every stage of every swap is in the audit log with its operator, digest and outcome, and the log is readable without a
/// running node. Method: a refused rollback, a swap, a refused swap and a rollback, compared entry by entry.
#[test]
fn audit_records_every_stage_of_a_swap_with_operator_and_outcome() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let mut up = herd.up();
    let active = || herd.status("Riley")["generations"]["active"]["digest"].as_str().unwrap().to_string();
    let default = active();
    assert!(!herd.herd(&["rollback", "--node", "Riley"]).status.success());
    herd.swap(HELLO, &[]).unwrap();
    let hello = active();
    herd.swap(Fixture::Greedy, &[]).unwrap_err();
    assert!(herd.herd(&["rollback", "--node", "Riley"]).status.success());
    assert_eq!(herd.status("Riley")["audit"]["last"], 15);

    let entries = entries(&herd, "Riley");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_string();
    let told: Vec<String> = entries
        .iter()
        .map(|entry| format!("{} {} {}", text(&entry["stage"]), text(&entry["outcome"]), entry["generation"]))
        .collect();
    let wanted = [
        "active done 1",
        "rolled_back refused null",
        "candidate done null",
        "parsed done 2",
        "compiled done 2",
        "checked done 2",
        "rehearsed done 2",
        "prepared done 2",
        "committed done null",
        "previous done 1",
        "active done 2",
        "candidate done null",
        "checked refused null",
        "rolled_back done 2",
        "active done 1",
    ];
    assert_eq!(told, wanted);
    for (index, digest) in [(0, &default), (2, &hello), (9, &default), (10, &hello), (13, &hello), (14, &default)] {
        assert_eq!(text(&entries[index]["digest"]), *digest, "entry {}", index + 1);
    }
    assert!(text(&entries[12]["why"]).starts_with("imports wasi:keyvalue/store@0.2.0"), "{}", entries[12]);
    assert_eq!(text(&entries[0]["who"]), "the node itself");
    let uid = format!("uid {} at ", rustix::process::getuid().as_raw());
    for entry in &entries[1..] {
        let who = text(&entry["who"]);
        assert!(who.starts_with("operator ") && who.contains(&uid) && !who.contains("(as claimed)"), "{who}");
    }

    assert!(text(&entries[7]["who"]).contains(", asked at "), "{}", entries[7]);

    up.terminate();
    up.wait();
    let shown = herd.herd(&["audit"]);
    assert_eq!(shown.status.code(), Some(0), "`herd audit` works without running nodes");
    let shown = stdout(&shown);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("time ") && lines[1].ends_with(", UTC") && lines[2].contains("active"), "{shown}");
    assert!(lines.iter().any(|line| line.contains(&hello[..8]) && line.contains("rolled back")), "{shown}");
    assert!(shown.contains("\nRiley: 15 entries, intact; head 15\n"), "{shown}");
    assert!(shown.contains("\nJaquez: 12 entries, intact; head 12\n"), "{shown}");
}

/// Goal: an edited or shortened log is detected by every form of `herd audit`, and the error names file and line. Method: one
/// word of an entry is replaced; then the log is cut after two entries.
#[test]
fn audit_verification_fails_and_names_the_changed_line() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let up = herd.up();
    herd.swap(HELLO, &[]).unwrap();
    let whole = herd.herd(&["audit", "--verify-only"]);
    assert_eq!((whole.status.code(), stdout(&whole).lines().count()), (Some(0), 2));
    drop(up);

    let path = log(&herd, "Riley");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let edited = lines[2].replace("parsed", "active");
    assert_ne!(edited, lines[2]);
    lines[2] = &edited;
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    for arguments in [&["audit"][..], &["audit", "--verify-only"], &["audit", "--json"], &["audit", "--node", "Riley"]]
    {
        let found = herd.herd(arguments);
        let said = String::from_utf8_lossy(&found.stderr);
        // Under `--json` the error is JSON too.
        let begin = if arguments.contains(&"--json") { "{\"error\":\"" } else { "herd: " };
        let wanted = format!("{begin}Riley: {}:3: this line was changed: it does not have the hash", path.display());
        assert!(found.status.code() == Some(1) && said.starts_with(&wanted), "{arguments:?}: {said}");
    }
    assert!(herd.herd(&["audit", "--node", "Jaquez"]).status.success());

    fs::write(&path, text.lines().take(2).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let said = herd.herd(&["audit", "--verify-only"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains(":3: the log ends with entry 2, and 10 were written"), "{said}");
}

#[test]
fn audit_reports_a_missing_log() {
    let herd = Herd::of_one();
    let directory = herd.scratch().path("herd").join("audit");
    for (arguments, of) in [(&["audit"][..], "any node of this herd"), (&["audit", "--node", "Riley"], "Riley")] {
        let missing = herd.herd(arguments);
        let said = String::from_utf8_lossy(&missing.stderr).into_owned();
        let wanted = format!(
            "herd: no audit log of {of} in {}; has this user started the herd on this machine?\n",
            directory.display()
        );
        assert_eq!((missing.status.code(), said), (Some(1), wanted));
    }
}

#[test]
fn audit_write_failure_does_not_stop_a_swap_and_is_counted() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let directory = herd.scratch().path("herd").join("audit");
    herd.await_status("Riley", "the entry of the start", |status| status["audit"]["last"] == 1);
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "a file in the place of the directory").unwrap();
    herd.swap(HELLO, &[]).unwrap();
    assert_eq!(herd.client("Riley").ask("you"), "hello, you");
    assert!(herd.herd(&["rollback"]).status.success());
    let status = stdout(&herd.herd(&["status"]));
    assert!(status.contains("audit fault: Riley could not write 12 entries of its audit log: "), "{status}");
}

/// Goal: a held lock delays audit entries and loses none, and the swap does not wait for it. Method: the test holds the lock of
/// the log during a swap.
#[test]
fn audit_entries_of_a_swap_wait_while_another_process_holds_the_lock() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let directory = herd.scratch().path("herd").join("audit");
    herd.await_status("Riley", "the entry of the start", |status| status["audit"]["last"] == 1);
    let lock = fs::File::open(directory.join("Riley.lock")).unwrap();
    lock.lock().unwrap();
    herd.swap(HELLO, &[]).unwrap();
    let audit = herd.status("Riley")["audit"].clone();
    assert!(audit["lost"] == 0 && audit["waiting"].as_u64().unwrap() > 0, "{audit}");
    drop(lock);
    herd.await_status("Riley", "all entries written", |status| status["audit"]["waiting"] == 0);
    let verified = herd.herd(&["audit", "--verify-only"]);
    assert!(
        verified.status.success() && stdout(&verified).contains(" entries, intact; head "),
        "{}",
        stdout(&verified)
    );
}

/// The entries of a node in `herd audit --json`. Fails if the log is not intact.
fn entries(herd: &Herd, node: &str) -> Vec<Value> {
    let audited: Value = serde_json::from_str(&stdout(&herd.herd(&["audit", "--json"]))).unwrap();
    assert_eq!(audited[node]["problem"], Value::Null);
    audited[node]["entries"].as_array().unwrap().clone()
}

fn log(herd: &Herd, node: &str) -> PathBuf {
    herd.scratch().path("herd").join("audit").join(format!("{node}.000000001.jsonl"))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
