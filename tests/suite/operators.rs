//! Operators at the command line: nodes that are stopped or away, and what commands say about it.

use std::process::Output;

use herd_tests::{HELLO, Herd, Process};

/// Goal: a stopped node holds up the output about no other node, and is named. Method: one of two processes is stopped; the command
/// ends all the same.
#[test]
fn status_shows_a_stopped_node_as_no_answer_beside_the_others() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let nodes = start(&herd);
    nodes[1].stop();
    let shown = herd.herd(&["status"]);
    let (table, errors) = texts(&shown);
    let row = |node: &str| table.lines().find(|line| line.starts_with(&format!("{node} "))).unwrap().to_string();
    assert_eq!(row("Riley").split_whitespace().collect::<Vec<_>>(), ["Riley", "no", "answer"]);
    assert!(row("Jaquez").contains(" default "), "{table}");
    assert!(table.contains("\nlink ") && table.contains("\nJaquez - Riley"), "{table}");
    assert!(shown.status.code() == Some(1) && errors.starts_with("herd: Riley: no answer from "), "{errors}");
    nodes[1].go_on();
    herd.await_linked(&herd.names());
    assert!(herd.herd(&["status"]).status.success());
}

/// Goal: the first node, when it is stopped, neither holds up a swap and a rollback, nor carries them out when it resumes. Method: the
/// swaps of the herd are counted by their number before and after.
#[test]
fn swap_and_rollback_go_to_the_next_node_when_the_first_is_stopped() {
    let herd = Herd::of(&[("Riley", &["Jaquez", "Juzang"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])]);
    let nodes = start(&herd);
    let names = herd.names();
    let first = (0..names.len()).min_by_key(|&index| herd.address(names[index])).unwrap();
    let second = names[(first + 1) % names.len()];
    nodes[first].stop();
    herd.swap(HELLO, &[]).unwrap();
    assert_eq!(herd.client(second).ask("you"), "hello, you");
    assert!(herd.herd(&["rollback"]).status.success());
    assert_eq!(herd.client(second).ask("you"), "? you");
    nodes[first].go_on();
    herd.await_status(names[first], "the rollback", |status| status["herd"]["applied"] == 2);
    herd.await_linked(&names);
    for node in names {
        assert_eq!(
            herd.status(node)["herd"]["swap"]["number"],
            2,
            "{node}: the swap and the rollback, and nothing else"
        );
        assert_eq!(herd.client(node).ask("you"), "? you", "{node}");
    }
}

#[test]
fn send_explains_why_a_line_is_invalid() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let lines = ["iamat kiwi +34-118 1", "IAMAT kiwi +34-118 1", "WHATSAT kiwi 51 1", "WHATSAT nobody 1 1"];
    let (answers, explained) = texts(&herd.herd(&[&["send", "--explain", "Riley"][..], &lines].concat()));
    assert_eq!(answers.lines().filter(|line| line.starts_with("? ")).count(), 3, "{answers}");
    let wanted = ["command words are upper case: IAMAT", "radius `51`: kilometres", "no location of nobody"];
    assert_eq!(explained.lines().count(), 3, "{explained}");
    assert!(explained.lines().zip(wanted).all(|(line, words)| line.contains(words)), "{explained}");
    assert_eq!(texts(&herd.herd(&["send", "Riley", "HELLO"])), ("? HELLO\n".into(), String::new()));
}

#[test]
fn run_says_which_guest_serves_and_why_and_how_to_go_back() {
    let herd = Herd::of_one();
    let mut riley = herd.run_without_waiting("Riley");
    let line = riley.next_line();
    assert!(line.starts_with("serving default (") && line.ends_with(", built into this binary"), "{line}");
    riley.await_line("Riley ready");
    herd.swap(HELLO, &[]).unwrap();
    riley.terminate();
    riley.wait();
    let line = herd.run_without_waiting("Riley").next_line();
    assert!(line.starts_with("serving hello (") && line.contains("from swap 1 of the herd, by "), "{line}");
    assert!(line.ends_with("; to go back: herd swap --built-in"), "{line}");
}

#[test]
fn canary_that_nobody_started_names_the_command_that_starts_one() {
    let herd = Herd::of_one();
    let _up = herd.up();
    for arguments in [["canary", "report"], ["canary", "cancel"], ["canary", "promote"], ["canary", "start"]] {
        let (output, errors) = texts(&herd.herd(&arguments));
        assert!(format!("{output}{errors}").contains("herd swap GUEST --canary 5% starts "), "{arguments:?}: {errors}");
    }
}

/// Starts a process per node, in the order of their names, and waits for all links.
fn start(herd: &Herd) -> Vec<Process> {
    let nodes = herd.names().into_iter().map(|node| herd.run(node)).collect();
    herd.await_linked(&herd.names());
    nodes
}

/// Standard output and standard error.
fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
