//! Saved cases: inputs on which the active generation faulted, minimized and written as transcripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use herd_tests::{DEFAULT_GUEST, Fixture, Herd, eventually};

/// Paths of the cases that a node has saved, sorted by name.
fn cases(herd: &Herd, node: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory(herd, node)).into_iter().flatten();
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "herd"));
    cases.sort();
    cases
}

fn directory(herd: &Herd, node: &str) -> PathBuf {
    herd.scratch().path("herd").join("cases").join(node)
}

/// Waits until a node has exactly one case of a kind; returns its path and text.
#[track_caller]
fn the_case(herd: &Herd, node: &str, kind: &str) -> (PathBuf, String) {
    let of_kind = |path: &PathBuf| path.to_string_lossy().contains(&format!("-{kind}-"));
    let path = eventually(&format!("a case of {kind} at {node}"), || {
        let found: Vec<PathBuf> = cases(herd, node).into_iter().filter(of_kind).collect();
        <[PathBuf; 1]>::try_from(found).map(|[path]| path).map_err(|found| format!("{found:?}"))
    });
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

/// Runs `herd test` on a case. Returns whether it passed, and its output.
fn test(herd: &Herd, guest: impl AsRef<Path>, case: &Path) -> (bool, String) {
    let tested = herd.herd(&["test", &guest.as_ref().to_string_lossy(), &case.to_string_lossy()]);
    (tested.status.success(), String::from_utf8_lossy(&tested.stdout).into_owned())
}

/// Checks that the bad guest fails the case with these words of its fault and that the default guest passes it.
#[track_caller]
fn assert_tells_bad_from_good(herd: &Herd, bad: Fixture, case: &Path, words: &str) {
    let (passed, said) = test(herd, bad, case);
    assert!(!passed && said.contains("+   fault ") && said.contains(words), "{said}");
    let (passed, said) = test(herd, DEFAULT_GUEST, case);
    assert!(passed, "{said}");
}

/// Goal: a case holds only the part of the input that is needed for the fault, and repeated faults make no further case.
/// Method: a packet of many lines to a guest that panics on a word, then the same fault a hundred times, then another kind of
/// fault. Faults are processed in order, so once the last has its case all earlier ones are done.
#[test]
fn saved_case_is_minimized_to_the_input_that_still_faults() {
    let herd = Herd::of_one().with("swap.probation_s=0");
    let up = herd.up();
    herd.swap(Fixture::Trap, &[]).unwrap();
    let mut client = herd.client("Riley");
    let long = format!("BOOM {}", "and so on ".repeat(50));
    client.send(format!("IAMAT kiwi +34-118 1\nhello\n{long}\nWHATSAT nobody 1 1\nIAMAT kiwi +35-118 2\nyou\n"));
    let answers: Vec<String> = (0..6).map(|_| client.line()).collect();
    assert!(answers[0].ends_with(" kiwi +34-118 1") && answers[4].ends_with(" kiwi +35-118 2"), "{answers:?}");
    assert_eq!(answers[2], format!("? {long}"));

    let (path, text) = the_case(&herd, "Riley", "trap");
    let digest = herd.status("Riley")["generations"]["active"]["digest"].as_str().unwrap().to_string();
    assert!(path.file_name().unwrap().to_string_lossy().starts_with(&format!("{}-trap-", &digest[..8])), "{path:?}");
    assert!(
        text.ends_with("\n# Input on which the guest faulted.\ninput \"BOOM\\n\"\n  reply \"? BOOM\\n\"\n"),
        "{text}"
    );
    for words in
        ["\n# node        Riley\n", "trap 1, generation 2, SHA-256 ", "the bottom fell out", "herd test GUEST.wasm"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("\nset places.sources = google-legacy\n") && !text.contains("NOTE"), "{text}");
    assert_tells_bad_from_good(&herd, Fixture::Trap, &path, "the bottom fell out");
    let mode = fs::metadata(directory(&herd, "Riley")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "cases hold client input, so only their owner may read them");
    let line = up.await_log(&["INFO", "case saved", &*path.to_string_lossy()]);
    assert!(!line.contains("BOOM"), "{line}");
    herd.await_audited("Riley", &["faulted", "saved as "]);

    for number in 0..100 {
        assert_eq!(client.ask(&format!("BOOM {number}")), format!("? BOOM {number}"));
    }
    herd.swap_with(DEFAULT_GUEST, &[]).unwrap();
    herd.swap_with(Fixture::Exiter, &["--unrehearsed"]).unwrap();
    assert_eq!(client.ask("BOOM"), "? BOOM");
    let (last, _) = the_case(&herd, "Riley", "exited");
    assert_eq!(cases(&herd, "Riley").len(), 2);
    assert_tells_bad_from_good(&herd, Fixture::Exiter, &last, "exited");
    assert_eq!(herd.status("Riley")["cases_saved"], 2);
}

/// Goal: a case is self-contained. Method: a guest that panics only on a record that it looks up, after one that does not.
#[test]
fn saved_case_includes_the_record_that_its_fault_depends_on() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut client = herd.client("Riley");
    for name in ["kiwi", "other"] {
        assert!(client.ask(&format!("IAMAT {name} +34-118 1")).starts_with("AT "));
    }
    herd.swap(Fixture::Grudge, &[]).unwrap();
    client.send("BOOM nobody\nBOOM kiwi\nhello\n");
    assert_eq!([client.line(), client.line(), client.line()], ["? BOOM nobody", "? BOOM kiwi", "? hello"]);
    let (path, text) = the_case(&herd, "Riley", "trap");
    assert!(
        text.contains("\n# Records that the guest looked up.\nreport \"kiwi\", \"AT Riley ") && !text.contains("other"),
        "{text}"
    );
    assert!(text.ends_with("input \"BOOM kiwi\\n\"\n  reply \"? BOOM kiwi\\n\"\n"), "{text}");
    assert_tells_bad_from_good(&herd, Fixture::Grudge, &path, "a record of ");
}

#[test]
fn saved_case_of_a_batch_has_only_the_report_that_faults() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _up = herd.up();
    herd.swap(Fixture::Refuser, &["Jaquez"]).unwrap();
    let lines: String = (0..50).map(|number| format!("IAMAT kiwi-{number} +34-118 1\n")).collect();
    let mut client = herd.client("Riley");
    client.send(format!("{lines}IAMAT trap-kiwi +34-118 1\n{}", lines.replace("kiwi", "more")));
    herd.await_known("trap-kiwi", &["Jaquez"]);
    let (path, text) = the_case(&herd, "Jaquez", "trap");
    assert!(text.contains("\n# Input on which the guest faulted.\nreport \"trap-kiwi\", \"AT Riley "), "{text}");
    assert!(
        text.contains("origin \"Riley\"\n  verdict keep\n") && !text.contains("kiwi-") && !text.contains("more-"),
        "{text}"
    );
    assert_tells_bad_from_good(&herd, Fixture::Refuser, &path, "a report that nobody can stand");
    assert!(cases(&herd, "Riley").is_empty());
}

/// Goal: a fault of any kind on a line yields a minimized case that fails with the bad guest and passes with the default one.
/// Method: one fixture per kind of fault.
#[test]
fn saved_case_reproduces_every_kind_of_fault() {
    let herd = Herd::of_one().with("swap.probation_s=0");
    let _up = herd.up();
    let mut client = herd.client("Riley");
    for (fixture, kind, sent, least, words) in [
        (Fixture::Forever, "deadline", "BOOM and more", "BOOM", "missed its deadline"),
        (Fixture::Hog, "memory", "BOOM and more", "BOOM", "passed its memory cap"),
        (Fixture::Recursion, "recursion", "BOOM and more", "BOOM", "recursed too deeply"),
        (Fixture::Sleeper, "slept", "BOOM and more", "BOOM", "slept"),
        // This guest picks its fault by the whole line, so minimizing must keep all of it.
        (Fixture::Liar, "senseless", "BOOM no-key", "BOOM no-key", "has a key of 0 bytes"),
    ] {
        herd.swap(DEFAULT_GUEST, &[]).unwrap();
        herd.swap_with(fixture, &["--unrehearsed"]).unwrap();
        assert_eq!(client.ask(sent), format!("? {sent}"));
        let (path, text) = the_case(&herd, "Riley", kind);
        assert!(text.contains(&format!("input \"{least}\\n\"\n")), "{text}");
        assert_tells_bad_from_good(&herd, fixture, &path, words);
    }
}

#[test]
fn case_write_failure_is_logged_and_the_node_keeps_serving() {
    let herd = Herd::of_one();
    let up = herd.up();
    fs::write(herd.scratch().path("herd").join("cases"), "a file in the place of the directory").unwrap();
    herd.swap(Fixture::Trap, &[]).unwrap();
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("BOOM"), "? BOOM");
    up.await_log(&["WARN", "case not saved"]);
    assert_eq!(client.ask("BOOM"), "? BOOM");
    assert_eq!(herd.status("Riley")["cases_saved"], 0);
}
