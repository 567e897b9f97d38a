//! Records and their operators: forgetting, lists, backups, repair, and what `herd status` says of convergence.

use std::fs;
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

/// Output and errors of a command that has to fail.
fn failed(output: &Output) -> (String, String) {
    assert_eq!(output.status.code(), Some(1));
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn report(herd: &Herd, node: &str, client: &str, time: u64) {
    let answer = herd.client(node).ask(&format!("IAMAT {client} +34-118 {time}"));
    assert!(answer.starts_with("AT "), "{answer}");
}

fn await_forgotten(herd: &Herd, client: &str, nodes: &[&str]) {
    for node in nodes {
        let forgotten = || if herd.knows(node, client) { Err("it does not".into()) } else { Ok(()) };
        eventually(&format!("{node} forgets {client}"), forgotten);
    }
}

/// Goal: a client is forgotten at every node, also at one that was away and that had the record, and may report again. Method: one of two
/// nodes is killed, the other one forgets, and the first starts from its log.
#[test]
fn forget_reaches_every_node_also_one_that_was_away() {
    let herd = pair();
    let (_riley, mut jaquez) = (herd.run("Riley"), herd.run("Jaquez"));
    herd.await_linked(&herd.names());
    report(&herd, "Riley", "kiwi", 5);
    herd.await_known("kiwi", &herd.names());
    jaquez.kill();
    let said = stdout(&herd.herd(&["forget", "kiwi"]));
    assert_eq!(said, "Riley: kiwi is forgotten, which every node remembers for 30 days\n");
    assert!(!herd.knows("Riley", "kiwi"));
    let _jaquez = herd.run("Jaquez");
    herd.await_linked(&herd.names());
    await_forgotten(&herd, "kiwi", &herd.names());
    assert_eq!(herd.status("Jaquez")["generations"]["unconvertible"], 0, "no guest is shown what was forgotten");
    let said = stdout(&herd.herd(&["forget", "plum", "--node", "Jaquez", "--json"]));
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&answer["node"], &answer["keep_days"]), (&"Jaquez".into(), &30.into()));
    report(&herd, "Jaquez", "kiwi", 4);
    herd.await_known("kiwi", &herd.names());
}

/// Goal: records are printed in the order of their keys, page by page, whatever the bytes of a key. Method: keys of 255 clients, among
/// them one that is no UTF-8, read in pages of 100.
#[test]
fn records_are_got_listed_and_exported_as_json_lines() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut client = herd.client("Riley");
    for index in 0..254 {
        let _ = client.ask(&format!("IAMAT client-{index:03} +34-118 {index}"));
    }
    client.send(b"IAMAT odd\xff\xfe +34-118 1\n");
    assert!(client.line_bytes().starts_with(b"AT "));
    let key = |line: &Value| line["key"].as_str().unwrap().to_string();

    let got = lines(&herd.herd(&["records", "get", "client-007"]));
    assert_eq!(got.len(), 1);
    let named = [&got[0]["key"], &got[0]["state"], &got[0]["origin"]];
    assert_eq!(named, ["client-007", "visible", "Riley"]);
    assert!(got[0]["record"].as_str().unwrap().starts_with("AT Riley "), "{}", got[0]);
    let (_, errors) = failed(&herd.herd(&["records", "get", "client-00"]));
    assert_eq!(errors, "herd: Riley has no record of client-00\n", "a prefix is no key");

    let all = lines(&herd.herd(&["records", "export"]));
    assert_eq!(all.len(), 255);
    assert!(all.is_sorted_by_key(key));
    assert_eq!(all[254]["key_hex"], "6f6464fffe", "{}", all[254]);
    let mut paged: Vec<Value> = Vec::new();
    loop {
        let after = paged.last().map(key).unwrap_or_default();
        let page = lines(&herd.herd(&["records", "list", "--prefix", "client-", "--limit", "100", "--after", &after]));
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 100);
        paged.extend(page);
    }
    assert_eq!(paged, all[..254]);
    stdout(&herd.herd(&["forget", "client-007", "--node", "Riley"]));
    let forgotten = lines(&herd.herd(&["records", "get", "client-007", "--node", "Riley"]));
    assert_eq!(forgotten[0]["state"], "forgotten");
}

/// Goal: a backup of a running herd brings back what was lost, and nothing that is older than what a node has or that was forgotten.
/// Method: all nodes lose their records; one client reports anew and one is forgotten; then a node is given the backup.
#[test]
fn backup_restores_what_is_lost_and_nothing_older() {
    let herd = pair();
    let mut up = herd.up();
    for client in ["kiwi", "plum", "fig"] {
        report(&herd, "Riley", client, 1);
        herd.await_known(client, &herd.names());
    }
    let directory = herd.scratch().path("backup");
    let path = directory.to_str().unwrap();
    let said = stdout(&herd.herd(&["backup", path, "--node", "Jaquez"]));
    assert!(said.starts_with("Jaquez: ") && said.ends_with(&format!(" bytes written to {path}\n")), "{said}");
    let (_, errors) = failed(&herd.herd(&["backup", path]));
    assert!(errors.contains("is not empty"), "{errors}");

    up.terminate();
    up.wait();
    fs::remove_dir_all(herd.scratch().path("herd").join("nodes")).unwrap();
    let _up = herd.up();
    assert!(!herd.knows("Riley", "kiwi"));
    report(&herd, "Riley", "plum", 2);
    let newer = herd.client("Riley").ask_places("WHATSAT plum 1 1").0;
    stdout(&herd.herd(&["forget", "fig", "--node", "Riley"]));
    let said = stdout(&herd.herd(&["restore", path, "--node", "Riley"]));
    assert_eq!(said, "Riley: 1 of 3 records were newer and are kept\n");
    herd.await_known("kiwi", &herd.names());
    herd.await_known("plum", &herd.names());
    for node in herd.names() {
        assert_eq!(herd.client(node).ask_places("WHATSAT plum 1 1").0, newer, "{node}");
        assert!(!herd.knows(node, "fig"), "{node}");
    }
    let said = stdout(&herd.herd(&["restore", path, "--node", "Jaquez"]));
    assert_eq!(said, "Jaquez: 0 of 3 records were newer and are kept\n");

    let nothing = herd.scratch().path("nothing");
    let (_, errors) = failed(&herd.herd(&["restore", nothing.to_str().unwrap(), "--node", "Riley"]));
    assert!(errors.contains("No such file"), "{errors}");
    fs::create_dir(&nothing).unwrap();
    let (_, errors) = failed(&herd.herd(&["restore", nothing.to_str().unwrap(), "--node", "Riley"]));
    assert!(errors.contains("there is no backup in "), "{errors}");
}

/// Goal: what can be read of a damaged backup is restored, and the damage is named. Method: one byte in the middle is flipped.
#[test]
fn restore_of_a_damaged_backup_says_so() {
    let herd = Herd::of_one();
    let _up = herd.up();
    for index in 0..100 {
        report(&herd, "Riley", &format!("client-{index}"), 1);
    }
    let directory = herd.scratch().path("backup");
    let path = directory.to_str().unwrap();
    stdout(&herd.herd(&["backup", path]));
    let mut files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let snapshot = files.find(|path| path.to_str().unwrap().contains("snapshot-")).unwrap();
    let mut bytes = fs::read(&snapshot).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    let (said, errors) = failed(&herd.herd(&["restore", path, "--node", "Riley"]));
    assert_eq!(said, "Riley: 0 of 99 records were newer and are kept\n");
    // The snapshot itself, and a log that would follow it if it were not that of a backup.
    assert!(errors.contains("damaged places in the backup; the rest was restored"), "{errors}");
    assert!(errors.contains("snapshot-00000001 at byte "), "{errors}");
}

/// Goal: operators learn that nodes hold equal records, from `herd repair` and from `herd status`, and that they do not when a node is
/// away. Method: both are asked after a report, and again without a node.
#[test]
fn repair_proves_equality_and_status_says_converged() {
    let herd = pair();
    let (_riley, mut jaquez) = (herd.run("Riley"), herd.run("Jaquez"));
    herd.await_linked(&herd.names());
    report(&herd, "Riley", "kiwi", 1);
    herd.await_known("kiwi", &herd.names());
    let said = stdout(&herd.herd(&["repair"]));
    let mut ends: Vec<&str> = said.lines().collect();
    ends.sort_unstable();
    assert_eq!(ends, ["Jaquez - Riley: equal", "Riley - Jaquez: equal"]);
    let proofs = |node: &str| herd.status(node)["links"][0]["proofs"].as_u64().unwrap();
    let before = ["Riley", "Jaquez"].map(proofs);
    let answer: Value = serde_json::from_str(&stdout(&herd.herd(&["repair", "--json"]))).unwrap();
    assert_eq!(answer["Riley"]["links"][0]["proved"], true, "{answer}");
    assert!(["Riley", "Jaquez"].map(proofs).iter().zip(before).all(|(after, before)| *after > before));

    let records = |output: &Output| {
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        shown.lines().find(|line| line.starts_with("records: ")).map(ToString::to_string).ok_or(shown)
    };
    let converged = eventually("convergence", || {
        let said = records(&herd.herd(&["status"])).unwrap();
        if said.starts_with("records: converged, proved ") { Ok(said) } else { Err(said) }
    });
    assert!(converged.ends_with(" s ago; durability os"), "{converged}");
    assert_eq!(herd.status("Riley")["converged"], true);
    jaquez.kill();
    let said = records(&herd.herd(&["status"])).unwrap();
    assert_eq!(said, "records: not converged: 1 of 2 nodes answer; durability os");
    herd.await_status("Riley", "a link that is down", |status| status["converged"] == false);
}
