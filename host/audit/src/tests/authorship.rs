//! Lines and heads of somebody without the key, and logs from before a node had one.

use super::*;
use crate::KeyUse;

/// Appends a line that follows the last one, as somebody without the key can. `mac` is put where a MAC belongs.
fn append_forged(scratch: &Scratch, mac: Option<&str>) {
    let mut lines = scratch.lines();
    let (mut line, previous) = crate::Line::decode_unverified(lines.last().unwrap().as_bytes()).unwrap();
    (line.number, line.previous, line.mac) = (line.number + 1, previous, None);
    let (text, _) = line.encode(None).unwrap();
    let sealed = text.split(",\"hash\":").next().unwrap().to_string();
    let sealed = mac.map_or(sealed.clone(), |mac| format!("{sealed},\"mac\":\"{mac}\""));
    lines.push(format!("{sealed},\"hash\":\"{}\"}}", Digest::of(sealed.as_bytes())));
    scratch.write(&lines);
}

/// A log as earlier versions wrote it, without MACs.
fn old_log(count: u64) -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir(&scratch.directory).unwrap();
    let mut previous = Digest::ZERO;
    let mut lines = Vec::new();
    for number in 1..=count {
        let sealed = format!(
            r#"{{"number":{number},"at":"2026-01-01T00:00:00Z","at_ns":1767225600000000000,"node":"Riley","who":"operator mira","stage":"active","outcome":"done","previous":"{previous}""#
        );
        previous = Digest::of(sealed.as_bytes());
        lines.push(format!("{sealed},\"hash\":\"{previous}\"}}"));
    }
    scratch.write(&lines);
    let head = format!("{{\"count\":{count},\"hash\":\"{previous}\",\"first\":1}}\n");
    fs::write(scratch.path("Riley.head"), head).unwrap();
    scratch
}

fn problem(scratch: &Scratch) -> Option<(Option<usize>, Flaw)> {
    scratch.verify().problem.map(|problem| (problem.line, problem.flaw))
}

fn why(verified: &Verified, index: usize) -> &str {
    verified.lines[index].entry.why.as_deref().unwrap_or_default()
}

#[test]
fn audit_reports_lines_appended_by_somebody_else() {
    for (mac, flaw) in [(None, Flaw::NoMac(6)), (Some("0".repeat(64)), Flaw::WrongMac(6))] {
        let scratch = Scratch::with_entries(5);
        append_forged(&scratch, mac.as_deref());
        let forged = scratch.lines()[5].clone();
        assert_eq!(problem(&scratch), Some((Some(6), flaw.clone())));
        scratch.open().append(swapped(6));
        scratch.open().append(swapped(7));
        let verified = scratch.verify();
        assert_eq!(problem(&scratch), Some((Some(6), flaw)), "for as long as the line is there");
        assert_eq!(scratch.lines()[5], forged, "it stays");
        let numbers: Vec<u64> = verified.lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 6, 7, 8], "the node continues from its own last line");
        let note = "1 lines after entry 5 were not written by this node; they stay in Riley.000000001.jsonl";
        assert_eq!(why(&verified, 6), note);
        scratch.remove_key();
        assert!(scratch.verify().problem.is_some(), "the chain alone shows it, too");
    }
}

#[test]
fn audit_reports_a_file_added_by_somebody_else() {
    let scratch = Scratch::with_entries(2);
    append_forged(&scratch, None);
    let mut lines = scratch.lines();
    fs::write(scratch.path("Riley.000000009.jsonl"), lines.pop().unwrap() + "\n").unwrap();
    scratch.write(&lines);
    scratch.open().append(swapped(3));
    let verified = scratch.verify();
    assert_eq!(verified.problem.as_ref().map(|problem| &problem.flaw), Some(&Flaw::NoMac(3)));
    assert_eq!(
        why(&verified, 3),
        "1 lines after entry 2 were not written by this node; they stay in Riley.000000009.jsonl"
    );
    scratch.open().append(swapped(4));
    assert_eq!(scratch.verify().lines.len(), 6, "noted once");
}

#[test]
fn audit_goes_on_after_a_long_line_of_somebody_else() {
    let scratch = Scratch::with_entries(1);
    let text = fs::read_to_string(scratch.path(FIRST)).unwrap();
    fs::write(scratch.path(FIRST), text + &"x".repeat(100_000)).unwrap();
    let log = scratch.open();
    log.append(swapped(2));
    assert_eq!(log.status().lost, 0);
    assert_eq!(problem(&scratch), Some((Some(2), Flaw::NotALine)));
    assert!(why(&scratch.verify(), 1).starts_with("1 lines after entry 1 were not written by this node"));
}

#[test]
fn audit_mac_finds_a_log_rewritten_with_its_head() {
    let scratch = Scratch::with_entries(1);
    let head = fs::read(scratch.path("Riley.head")).unwrap();
    let forged = Scratch::forge(&scratch.lines()[0], "mira", "noah");
    let (_, hash) = crate::Line::decode_unverified(forged.as_bytes()).unwrap();
    scratch.write(&[forged]);
    Head { count: 1, hash, ..Head::NONE }.write(&scratch.path("Riley.head"), None).unwrap();
    assert_eq!(problem(&scratch), Some((None, Flaw::ForeignHead)));
    fs::write(scratch.path("Riley.head"), head).unwrap();
    assert_eq!(problem(&scratch), Some((Some(1), Flaw::NoMac(1))));
}

#[test]
fn audit_mac_finds_a_head_changed_to_hide_a_cut() {
    let scratch = Scratch::with_entries(3);
    let mut head = scratch.verify().head.unwrap();
    let lines = scratch.lines();
    let (last, hash) = crate::Line::decode_unverified(lines[1].as_bytes()).unwrap();
    (head.count, head.hash) = (last.number, hash);
    scratch.write(&lines[..2]);
    let text = fs::read_to_string(scratch.path("Riley.head")).unwrap();
    let mac = &text[text.find(",\"mac\"").unwrap()..];
    let forged = serde_json::to_string(&head).unwrap();
    fs::write(scratch.path("Riley.head"), format!("{}{mac}", forged.strip_suffix('}').unwrap())).unwrap();
    assert_eq!(problem(&scratch), Some((None, Flaw::ForeignHead)));
    scratch.open().append(swapped(4));
    let verified = scratch.verify();
    assert_eq!(verified.problem, None);
    assert_eq!(why(&verified, 2), "the head, which names the last entry, was missing or not written by this node");
    assert!(verified.verdict().contains("; entry 3 notes: the head,"), "{}", verified.verdict());
}

#[test]
fn audit_without_the_key_verifies_the_chain_alone_and_says_so() {
    let scratch = Scratch::with_entries(2);
    let verdict = scratch.verify().verdict();
    assert!(verdict.starts_with("2 entries, intact; head 2 ") && verdict.matches("; ").count() == 1, "{verdict}");
    scratch.remove_key();
    let verified = scratch.verify();
    assert_eq!((&verified.problem, &verified.key), (&None, &KeyUse::Missing));
    let words = "; the key of the node is not here: the chain is verified, not who wrote the entries";
    assert!(verified.verdict().ends_with(words), "{}", verified.verdict());
    append_forged(&scratch, Some(&"0".repeat(64)));
    let verdict = scratch.verify().verdict();
    assert!(verdict.contains("; 1 entries beyond the head, which a crash or somebody else left there"), "{verdict}");
}

#[test]
fn audit_verifies_logs_without_macs_as_a_chain_up_to_the_first_line_with_one() {
    let scratch = old_log(3);
    let verified = scratch.verify();
    assert_eq!((verified.problem.as_ref(), verified.lines.len()), (None, 3));
    let words = "all entries are from before the node had this key: their chain is verified, not who wrote them";
    assert!(verified.verdict().contains(words), "{}", verified.verdict());

    let log = scratch.open();
    log.append(swapped(4));
    log.append(swapped(5));
    let verified = scratch.verify();
    assert_eq!((verified.problem.as_ref(), verified.lines.len(), verified.maced_from), (None, 5, Some(4)));
    let words = "; entries 1 to 3 are from before the node had this key: their chain is verified, not who wrote them";
    assert!(verified.verdict().ends_with(words), "{}", verified.verdict());

    let edit = |lines: &mut Vec<String>| lines[2] = Scratch::forge(&lines[2], "mira", "noah");
    assert_eq!(scratch.flaw_after(edit), (Some(4), Flaw::BrokenChain(4)), "the first line with a MAC pins them");
    let old = old_log(5);
    for name in [FIRST, "Riley.head"] {
        fs::copy(old.path(name), scratch.path(name)).unwrap();
    }
    assert_eq!(problem(&scratch), Some((None, Flaw::ForeignHead)), "a log without MACs cannot replace one with them");
}

#[test]
fn audit_does_not_adopt_lines_appended_to_a_log_without_macs() {
    let scratch = old_log(3);
    append_forged(&scratch, None);
    assert!(scratch.verify().verdict().contains("; 1 entries beyond the head"));
    scratch.open().append(swapped(4));
    assert_eq!(problem(&scratch), Some((Some(4), Flaw::NoMac(4))));
}

#[test]
fn audit_key_is_accessible_only_to_its_owner() {
    let scratch = Scratch::with_entries(1);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(scratch.key()), mode(scratch.state.path().join("audit-keys"))), (0o600, 0o700));
    fs::set_permissions(scratch.key(), fs::Permissions::from_mode(0o640)).unwrap();
    let log = scratch.open();
    log.append(swapped(2));
    let status = log.status();
    assert!(status.lost == 1 && status.last_error.unwrap().contains("can be read by others"));
    let verified = scratch.verify();
    assert!(matches!(&verified.key, KeyUse::Unusable(why) if why.contains("chmod 600")), "{:?}", verified.key);
    assert!(verified.verdict().contains("; the chain is verified, not who wrote the entries: "));
    fs::set_permissions(scratch.key(), fs::Permissions::from_mode(0o600)).unwrap();
    log.append(swapped(3));
    assert_eq!((scratch.verify().problem, scratch.verify().lines.len()), (None, 3));
}

#[test]
fn audit_notes_a_missing_key_and_a_missing_log() {
    let scratch = Scratch::with_entries(2);
    scratch.remove_key();
    scratch.open().append(swapped(3));
    let verified = scratch.verify();
    assert_eq!((&verified.problem, verified.maced_from), (&None, Some(3)));
    assert!(why(&verified, 2).starts_with("the key was missing"), "{}", why(&verified, 2));
    fs::remove_dir_all(&scratch.directory).unwrap();
    scratch.open().append(swapped(1));
    let verified = scratch.verify();
    assert_eq!(why(&verified, 0), "the node has a key and no log: its files were removed or moved away");
}

#[test]
fn audit_notes_a_log_set_back_while_the_node_runs() {
    let scratch = Scratch::new();
    let log = scratch.open();
    log.append(swapped(1));
    let older = [FIRST, "Riley.head"].map(|name| (name, fs::read(scratch.path(name)).unwrap()));
    log.append(swapped(2));
    for (name, content) in older {
        fs::write(scratch.path(name), content).unwrap();
    }
    assert_eq!(scratch.verify().problem, None, "an old copy of all files verifies");
    log.append(swapped(3));
    assert_eq!(problem(&scratch), Some((Some(2), Flaw::OutOfOrder { expected: 2, found: 3 })));
    assert_eq!(why(&scratch.verify(), 2), "the head was set back to entry 1 while the node ran");
}
