//! Rollbacks that discard records: what guests kept since a swap goes on every node, and what was kept before stays.

use std::fs;

use herd_tests::{Herd, WATCH, eventually};
use serde_json::Value;

fn report(herd: &Herd, node: &str, client: &str, time: u64) {
    let answer = herd.client(node).ask(&format!("IAMAT {client} +34-118 {time}"));
    assert!(answer.starts_with(&format!("AT {node} ")), "{answer}");
    herd.await_known(client, &[node]);
}

fn await_forgotten(herd: &Herd, client: &str, nodes: &[&str]) {
    for node in nodes {
        let forgotten = || if herd.knows(node, client) { Err("it does not".into()) } else { Ok(()) };
        eventually(&format!("{node} forgets {client}"), forgotten);
    }
}

/// Reasons in the audit log of a node for what it discarded.
fn audited(herd: &Herd, node: &str) -> Vec<String> {
    let output = herd.herd(&["audit", "--json", "--node", node]);
    let audit: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries = audit[node]["entries"].as_array().unwrap_or_else(|| panic!("{audit}"));
    let discarded = entries.iter().filter(|entry| entry["stage"] == "discarded");
    discarded.map(|entry| entry["why"].as_str().unwrap().to_string()).collect()
}

/// Goal: a rollback undoes what the guest kept on every node, also on one that was killed and restarted since the swap and on one that is
/// away during the rollback, and nothing that was kept before the swap. Method: one process per node, each with a client before and after
/// the swap.
#[test]
fn discarding_rollback_forgets_at_all_nodes_what_was_kept_since_the_swap() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])]);
    let names = herd.names();
    let (mut riley, _jaquez, mut juzang) = (herd.run("Riley"), herd.run("Jaquez"), herd.run("Juzang"));
    herd.await_linked(&names);
    for node in &names {
        report(&herd, node, &format!("old-{node}"), 1);
        herd.await_known(&format!("old-{node}"), &names);
    }
    herd.swap(WATCH, &[]).unwrap();
    for node in &names {
        report(&herd, node, &format!("new-{node}"), 2);
        herd.await_known(&format!("new-{node}"), &names);
    }
    // The newest record of a client counts.
    report(&herd, "Jaquez", "old-Jaquez", 3);
    riley.kill();
    let _riley = herd.run("Riley");
    herd.await_linked(&names);
    report(&herd, "Riley", "newest", 4);
    herd.await_known("newest", &names);
    juzang.kill();

    let output = herd.herd(&["rollback", "--discard-records"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in ["Riley: 2 records forgotten", "Jaquez: 2 records forgotten", "Juzang: absent; "] {
        assert!(said.contains(line), "{said}");
    }
    let here = ["Riley", "Jaquez"];
    for client in ["new-Riley", "new-Jaquez", "old-Jaquez", "newest"] {
        await_forgotten(&herd, client, &here);
    }
    herd.await_known("new-Juzang", &here);
    report(&herd, "Riley", "new-Riley", 5);

    let _juzang = herd.run("Juzang");
    await_forgotten(&herd, "new-Juzang", &names);
    for client in ["old-Riley", "old-Juzang", "new-Riley"] {
        herd.await_known(client, &names);
    }
    for client in ["new-Jaquez", "old-Jaquez", "newest"] {
        await_forgotten(&herd, client, &names);
    }
    let equal = || match names.iter().map(|node| herd.digest(node)).collect::<Vec<_>>() {
        digests if digests.iter().all(|digest| *digest == digests[0]) => Ok(()),
        digests => Err(format!("{digests:?}")),
    };
    eventually("all nodes hold equal records", equal);
    for (node, why) in [("Riley", "records forgotten: 2"), ("Juzang", "records forgotten: 1")] {
        let entry = || match audited(&herd, node) {
            entries if entries == [why] => Ok(()),
            entries => Err(format!("{entries:?}")),
        };
        eventually(&format!("{node} has audited what it discarded"), entry);
    }

    let again = herd.herd(&["rollback", "--discard-records"]);
    let errors = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(errors.contains("the herd has rolled back already") && errors.contains("herd forget CLIENT"), "{errors}");
    assert!(herd.knows("Riley", "new-Riley"));
}

/// Goal: the records of one node can be discarded, and a node that does not know what it kept says so and fails the command. Method: both
/// nodes are swapped, and one loses its marks.
#[test]
fn discarding_rollback_of_single_nodes_says_what_each_forgot() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let mut up = herd.up();
    report(&herd, "Riley", "kiwi", 1);
    herd.swap(WATCH, &["Riley"]).unwrap();
    report(&herd, "Riley", "plum", 2);
    report(&herd, "Jaquez", "fig", 2);
    let output = herd.herd(&["rollback", "--node", "Riley", "--discard-records", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["Riley"]["discarded"], 1, "{answer}");
    await_forgotten(&herd, "plum", &herd.names());
    assert!(herd.knows("Riley", "kiwi") && herd.knows("Jaquez", "fig"));

    herd.swap(WATCH, &[]).unwrap();
    report(&herd, "Riley", "plum", 3);
    report(&herd, "Jaquez", "fig", 3);
    up.terminate();
    up.wait();
    fs::remove_file(herd.scratch().path("herd").join("activations").join("Jaquez.json")).unwrap();
    let _up = herd.up();
    let output = herd.herd(&["rollback", "--discard-records"]);
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("Riley: 1 record forgotten") && said.contains("Jaquez: generation "), "{said}");
    assert!(errors.contains("Jaquez: its records stay: it has not noted what it had kept"), "{errors}");
    await_forgotten(&herd, "plum", &herd.names());
    herd.await_known("fig", &herd.names());
}
