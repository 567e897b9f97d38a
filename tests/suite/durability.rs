//! Records that survive: kill -9, time away, a second process on the same folder, and a disk that takes nothing.

use herd_tests::{Client, FileFault, Herd, Interposer, eventually};

const REPORTS: usize = 200;

/// Reports clients `NAME-0` and up at a node, and returns the answers.
fn report(client: &mut Client, name: &str) -> Vec<String> {
    let report = |number| {
        let answer = client.ask(&format!("IAMAT {name}-{number} +34-118 1"));
        assert!(answer.starts_with("AT "), "{answer}");
        answer
    };
    (0..REPORTS).map(report).collect()
}

/// Checks that a node answers as it did when it took the reports.
fn assert_kept(client: &mut Client, name: &str, answers: &[String]) {
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(&client.ask_places(&format!("WHATSAT {name}-{number} 1 1")).0, answer);
    }
}

#[test]
fn records_survive_kill_9_and_are_there_before_any_link() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]).with("records.durability=\"os\"");
    let mut running = ["Riley", "Jaquez"].map(|node| herd.run(node));
    herd.await_linked(&herd.names());
    let own = report(&mut herd.client("Riley"), "own");
    let of_peer = report(&mut herd.client("Jaquez"), "of-peer");
    herd.await_known(&format!("of-peer-{}", REPORTS - 1), &["Riley"]);
    running.iter_mut().for_each(herd_tests::Process::kill);
    // Jaquez stays away, so whatever Riley has is from its disk.
    let _riley = herd.run("Riley");
    let mut client = herd.client("Riley");
    assert_kept(&mut client, "own", &own);
    assert_kept(&mut client, "of-peer", &of_peer);
}

#[test]
fn node_that_was_away_gets_what_it_missed() {
    let herd = Herd::of_five();
    let mut running: Vec<_> = herd.names().into_iter().map(|node| (node, herd.run(node))).collect();
    herd.await_linked(&herd.names());
    let before = report(&mut herd.client("Juzang"), "before");
    let away = running.iter().position(|(node, _)| *node == "Juzang").unwrap();
    herd.await_known(&format!("before-{}", REPORTS - 1), &herd.names());
    running.remove(away).1.kill();
    let missed = report(&mut herd.client("Riley"), "missed");
    running.push(("Juzang", herd.run("Juzang")));
    eventually("equal digests", || {
        let digests: Vec<String> = herd.names().iter().map(|node| herd.digest(node)).collect();
        let are_equal = digests.iter().all(|digest| *digest == digests[0]);
        if are_equal { Ok(()) } else { Err(format!("{digests:?}")) }
    });
    let mut client = herd.client("Juzang");
    assert_kept(&mut client, "before", &before);
    assert_kept(&mut client, "missed", &missed);
}

#[test]
fn second_process_on_the_folder_of_a_node_is_refused() {
    let herd = Herd::of_one();
    let _riley = herd.run("Riley");
    let elsewhere = ["client", "link", "admin", "metrics"].map(|what| format!("nodes.Riley.{what}=127.0.0.1:0"));
    let mut arguments = vec!["run", "Riley"];
    elsewhere.iter().for_each(|setting| arguments.extend(["--set", setting]));
    let refused = herd.herd(&arguments);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{said}");
    let directory = herd.node_directory("Riley");
    assert!(said.contains(&*directory.to_string_lossy()) && said.contains("another process"), "{said}");
    assert!(herd.client("Riley").ask("IAMAT kiwi +34-118 1").starts_with("AT Riley "));
}

/// Goal: a node whose log cannot be written refuses new reports with their copies, answers questions, and takes reports again by
/// itself. Method: writes below its folder fail for a while, for each reason that there is.
#[test]
fn full_disk_is_answered_with_copies_until_there_is_space() {
    let herd = Herd::of_one().with("records.durability=\"os\"");
    let interposer = Interposer::build(herd.scratch()).unwrap();
    let start = || {
        let mut riley = herd.run_with_variables("Riley", &interposer.variables(None));
        riley.await_line("Riley ready");
        riley
    };
    let mut riley = start();
    let mut client = herd.client("Riley");
    let mut answers = vec![];
    for (round, fault) in [FileFault::NoSpace, FileFault::WriteError, FileFault::ReadOnly].into_iter().enumerate() {
        answers.push(report(&mut client, &format!("early-{round}")));
        interposer.fail(fault, &herd.node_directory("Riley"));
        let line = format!("IAMAT late-{round}   +34-118 1 ");
        assert_eq!(client.ask(&line), format!("? {line}"), "{fault:?}");
        assert_kept(&mut client, &format!("early-{round}"), &answers[round]);
        interposer.mend();
        eventually("reports are taken again", || match client.ask(&format!("IAMAT later-{round} +34-118 1")) {
            answer if answer.starts_with("AT ") => Ok(()),
            answer => Err(answer),
        });
    }
    riley.kill();
    riley = start();
    let mut client = herd.client("Riley");
    for (round, answers) in answers.iter().enumerate() {
        assert_kept(&mut client, &format!("early-{round}"), answers);
        assert!(herd.knows("Riley", &format!("later-{round}")));
    }
    drop(riley);
}
