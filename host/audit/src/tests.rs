//! The log as its readers see it: written, tampered with in every way, and continued after a crash.

mod authorship;
mod bound;
mod loss;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use herd_model::Digest;
use tempfile::TempDir;

use super::limits::Bounds;
use super::{AuditLimits, AuditLog, Entry, EntryOutcome, Flaw, Head, Stage, THE_NODE_ITSELF, Verified, verify};

/// A directory for the log of Riley, removed when dropped.
struct Scratch {
    state: TempDir,
    /// Created by the log.
    directory: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("audit");
        Self { state, directory }
    }

    /// With a log of this many entries.
    fn with_entries(count: u64) -> Self {
        let scratch = Self::new();
        let log = scratch.open();
        (1..=count).for_each(|generation| log.append(swapped(generation)));
        scratch
    }

    fn open(&self) -> AuditLog {
        AuditLog::open(self.state.path(), "Riley", &AuditLimits::default()).unwrap()
    }

    fn key(&self) -> PathBuf {
        self.state.path().join("audit-keys/Riley")
    }

    fn remove_key(&self) {
        fs::remove_file(self.key()).unwrap();
    }

    /// Files of lines, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.directory).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
        files.sort();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.path(FIRST)).unwrap().lines().map(ToString::to_string).collect()
    }

    fn write(&self, lines: &[String]) {
        fs::write(self.path(FIRST), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }

    fn verify(&self) -> Verified {
        verify(self.state.path(), "Riley").unwrap()
    }

    /// Changes the lines and returns the flaw that is found, and its line.
    fn flaw_after(&self, tamper: impl FnOnce(&mut Vec<String>)) -> (Option<usize>, Flaw) {
        let mut lines = self.lines();
        tamper(&mut lines);
        self.write(&lines);
        let problem = self.verify().problem.expect("the change is found");
        (problem.line, problem.flaw)
    }

    /// Rewrites a line with a hash that matches, without a MAC, as somebody without the key can.
    fn forge(line: &str, from: &str, to: &str) -> String {
        let edited = line.replace(from, to);
        let (forged, _) = super::Line::decode_unverified(edited.as_bytes()).unwrap();
        forged.encode(None).unwrap().0
    }
}

fn swapped(generation: u64) -> Entry {
    Entry::new("operator mira uid 1000", Stage::Active).digest("1a2b3c4d").generation(generation)
}

const FIRST: &str = "Riley.000000001.jsonl";

#[test]
fn verify_reads_what_was_written() {
    let scratch = Scratch::new();
    let log = scratch.open();
    log.append_soon(swapped(1));
    log.append(Entry::new(THE_NODE_ITSELF, Stage::Checked).refused("imports \"nothing\" good\n\u{1b}[31m"));
    let verified = scratch.verify();
    assert_eq!(verified.problem, None);
    let [first, second] = &*verified.lines else { panic!("{verified:?}") };
    assert_eq!((first.number, &*first.node, &first.entry), (1, "Riley", &swapped(1)));
    assert_eq!((first.previous, second.number), (Digest::ZERO, 2));
    assert!(second.at_ns >= first.at_ns && first.at.ends_with('Z') && first.at.contains('T'), "{}", first.at);
    assert_eq!((second.entry.outcome, second.entry.stage), (EntryOutcome::Refused, Stage::Checked));
    let why = second.entry.why.as_deref().unwrap();
    assert_eq!(why, "imports \"nothing\" good\u{fffd}\u{fffd}[31m", "text of a guest cannot control a terminal");
    let status = log.status();
    assert_eq!((status.last, status.lost, status.hash), (Some(2), 0, verified.head.map(|head| head.hash)));
}

#[test]
fn chain_hash_covers_all_bytes_before_it() {
    let scratch = Scratch::with_entries(1);
    let line = scratch.lines().remove(0);
    let (sealed, hash) = line.split_once(",\"hash\":\"").unwrap();
    assert_eq!(hash, format!("{}\"}}", Digest::of(sealed.as_bytes())));
}

#[test]
fn files_are_accessible_only_to_their_owner() {
    let scratch = Scratch::with_entries(1);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(scratch.path(FIRST)), mode(scratch.path("Riley.head"))), (0o600, 0o600));
    assert_eq!(mode(scratch.directory), 0o700);
}

#[test]
fn chain_names_an_edited_line() {
    let scratch = Scratch::with_entries(5);
    let edit = |lines: &mut Vec<String>| lines[2] = lines[2].replace("mira", "noah");
    assert_eq!(scratch.flaw_after(edit), (Some(3), Flaw::Changed));
    let scratch = Scratch::with_entries(5);
    let break_it = |lines: &mut Vec<String>| lines[2] = lines[2].replace("\"at\"", "at");
    assert_eq!(scratch.flaw_after(break_it), (Some(3), Flaw::Changed), "although it is not JSON any more");
    let scratch = Scratch::with_entries(5);
    let upper_case = |lines: &mut Vec<String>| {
        let hash_start = lines[2].rfind('"').unwrap() - 64;
        lines[2] = lines[2][..hash_start].to_string() + &lines[2][hash_start..].to_uppercase();
    };
    assert_eq!(scratch.flaw_after(upper_case), (Some(3), Flaw::NotALine), "its hash has the same value");
}

#[test]
fn chain_or_head_finds_a_line_rewritten_with_a_matching_hash() {
    let scratch = Scratch::with_entries(5);
    let forge = |lines: &mut Vec<String>| lines[2] = Scratch::forge(&lines[2], "mira", "noah");
    assert_eq!(scratch.flaw_after(forge), (Some(3), Flaw::NoMac(3)));
    let scratch = Scratch::with_entries(5);
    scratch.remove_key();
    let forge = |lines: &mut Vec<String>| lines[0] = Scratch::forge(&lines[0], "mira", "noah");
    assert_eq!(scratch.flaw_after(forge), (Some(2), Flaw::BrokenChain(2)), "without the key the chain shows it");
    let scratch = Scratch::with_entries(5);
    let forge_last = |lines: &mut Vec<String>| lines[4] = Scratch::forge(&lines[4], "mira", "noah");
    assert_eq!(scratch.flaw_after(forge_last), (Some(5), Flaw::NoMac(5)));
    let scratch = Scratch::with_entries(1);
    scratch.remove_key();
    let forge = |lines: &mut Vec<String>| lines[0] = Scratch::forge(&lines[0], "mira", "noah");
    assert_eq!(scratch.flaw_after(forge), (Some(1), Flaw::HeadMismatch(1)), "without the key the head shows it");
}

#[test]
fn chain_names_the_line_after_a_removed_one() {
    let scratch = Scratch::with_entries(5);
    let flaw = scratch.flaw_after(|lines| drop(lines.remove(2)));
    assert_eq!(flaw, (Some(3), Flaw::OutOfOrder { expected: 3, found: 4 }));
}

#[test]
fn chain_names_a_moved_line() {
    let scratch = Scratch::with_entries(5);
    let flaw = scratch.flaw_after(|lines| lines.swap(1, 2));
    assert_eq!(flaw, (Some(2), Flaw::OutOfOrder { expected: 2, found: 3 }));
}

#[test]
fn chain_names_an_inserted_line() {
    let scratch = Scratch::with_entries(5);
    let doubled = scratch.flaw_after(|lines| lines.insert(2, lines[1].clone()));
    assert_eq!(doubled, (Some(3), Flaw::OutOfOrder { expected: 3, found: 2 }));
    let scratch = Scratch::with_entries(5);
    let foreign = scratch.flaw_after(|lines| lines.insert(2, "{\"who\":\"nobody\"}".into()));
    assert_eq!(foreign, (Some(3), Flaw::NotALine));
    let scratch = Scratch::with_entries(5);
    let blank = scratch.flaw_after(|lines| lines.insert(0, String::new()));
    assert_eq!(blank, (Some(1), Flaw::NotALine));
}

#[test]
fn head_finds_lines_cut_off_at_either_end() {
    let scratch = Scratch::with_entries(5);
    let tail = scratch.flaw_after(|lines| lines.truncate(3));
    assert_eq!(tail, (Some(4), Flaw::Truncated { found: 3, written: 5 }));
    let scratch = Scratch::with_entries(5);
    let all = scratch.flaw_after(Vec::clear);
    assert_eq!(all, (Some(1), Flaw::Truncated { found: 0, written: 5 }));
    let scratch = Scratch::with_entries(5);
    let beginning = scratch.flaw_after(|lines| drop(lines.remove(0)));
    assert_eq!(beginning, (Some(1), Flaw::MissingBeginning { found: 2, kept: 1 }));
}

#[test]
fn verify_rejects_a_log_without_head_or_of_another_node() {
    let scratch = Scratch::with_entries(2);
    fs::copy(scratch.path(FIRST), scratch.path("Jaquez.000000001.jsonl")).unwrap();
    fs::copy(scratch.path("Riley.head"), scratch.path("Jaquez.head")).unwrap();
    let problem = verify(scratch.state.path(), "Jaquez").unwrap().problem.unwrap();
    assert_eq!((problem.line, problem.flaw), (Some(1), Flaw::OtherNode("Riley".into())));
    fs::remove_file(scratch.path("Riley.head")).unwrap();
    let problem = scratch.verify().problem.unwrap();
    assert_eq!((problem.path, problem.line, problem.flaw), (scratch.path("Riley.head"), None, Flaw::MissingHead));
}

#[test]
fn verify_tells_a_log_that_never_existed_from_a_removed_one() {
    let scratch = Scratch::new();
    assert!(verify(scratch.state.path(), "Riley").unwrap_err().to_string().starts_with("no audit log of Riley in "));
    let scratch = Scratch::with_entries(2);
    assert!(verify(scratch.state.path(), "Jaquez").is_err());
    fs::remove_file(scratch.path(FIRST)).unwrap();
    assert_eq!(scratch.verify().problem.unwrap().flaw, Flaw::Truncated { found: 0, written: 2 });
}

#[test]
fn head_keeps_a_cut_detectable_when_the_log_goes_on() {
    for runs_on in [false, true] {
        let scratch = Scratch::with_entries(4);
        let mut log = scratch.open();
        log.append(swapped(5));
        if !runs_on {
            log = scratch.open();
        }
        scratch.write(&scratch.lines()[..3]);
        log.append(swapped(6));
        let verified = scratch.verify();
        let flaw = Flaw::OutOfOrder { expected: 4, found: 6 };
        assert_eq!(verified.problem.map(|problem| (problem.line, problem.flaw)), Some((Some(4), flaw)));
        let note = &verified.lines[3].entry;
        assert_eq!(note.stage, Stage::Log);
        assert!(note.why.as_deref().unwrap().starts_with("the log was changed"), "{note:?}");
    }
}

#[test]
fn torn_line_is_removed_and_the_chain_goes_on() {
    let scratch = Scratch::with_entries(2);
    let whole = fs::read(scratch.path(FIRST)).unwrap();
    let half = &whole[..whole.len() / 3];
    fs::write(scratch.path(FIRST), [&*whole, half].concat()).unwrap();
    let crashed = scratch.verify();
    assert_eq!((crashed.problem, crashed.torn_bytes), (None, half.len()), "a crash is not tampering");
    scratch.open().append(swapped(3));
    let verified = scratch.verify();
    assert_eq!((verified.problem, verified.torn_bytes, verified.lines.len()), (None, 0, 4));
    let note = &verified.lines[2].entry;
    assert_eq!((note.stage, &*note.who), (Stage::Log, THE_NODE_ITSELF));
    let why = format!("its {} bytes were removed", half.len());
    assert!(note.why.as_deref().unwrap().ends_with(&why), "{note:?}");
    assert_eq!(fs::read_dir(&scratch.directory).unwrap().count(), 3, "one file of lines, head and lock");
}

#[test]
fn torn_first_line_or_stale_head_is_no_tampering() {
    let scratch = Scratch::with_entries(1);
    let (first, head) = (fs::read(scratch.path(FIRST)).unwrap(), fs::read(scratch.path("Riley.head")).unwrap());
    scratch.open().append(swapped(2));
    fs::write(scratch.path("Riley.head"), head).unwrap();
    assert_eq!(scratch.verify().problem, None, "the head is one entry behind");
    scratch.open().append(swapped(3));
    assert_eq!((scratch.verify().problem, scratch.verify().lines.len()), (None, 3));

    let scratch = Scratch::new();
    fs::create_dir(&scratch.directory).unwrap();
    Head::NONE.write(&scratch.path("Riley.head"), None).unwrap();
    fs::write(scratch.path(FIRST), &first[..40]).unwrap();
    assert_eq!((scratch.verify().problem, scratch.verify().torn_bytes), (None, 40));
    scratch.open().append(swapped(1));
    assert_eq!((scratch.verify().problem, scratch.verify().lines.len()), (None, 2));
}

#[test]
fn rotation_continues_the_chain_and_removes_the_oldest_files() {
    let scratch = Scratch::new();
    let bounds = Bounds { file_bytes_max: 1000, bytes_max: 3000 };
    let log = || AuditLog::with_bounds(scratch.state.path(), "Riley", bounds).unwrap();
    (1..=20).for_each(|generation| log().append(swapped(generation)));
    let verified = scratch.verify();
    assert_eq!(verified.problem, None);
    let (first, last) = (verified.lines.first().unwrap().number, verified.lines.last().unwrap().number);
    assert_eq!((verified.head.unwrap().first, last), (first, 20));
    assert!(first > 5 && verified.lines.len() as u64 == 21 - first, "{first}");
    let files = fs::read_dir(&scratch.directory).unwrap().count();
    assert_eq!(files, 5, "three of lines, head and lock");

    // A file whose first line was torn by a crash continues the chain of the file before.
    fs::write(scratch.path("Riley.000000021.jsonl"), "{\"numb").unwrap();
    assert_eq!(scratch.verify().problem, None);
    log().append(swapped(21));
    assert_eq!((scratch.verify().problem, scratch.verify().lines.last().unwrap().number), (None, 22));

    // A full file whose last line was torn is repaired before the next file begins.
    let newest = || scratch.segments().pop().unwrap();
    let is_full = |generation| {
        log().append(swapped(generation));
        fs::metadata(newest()).unwrap().len() > bounds.file_bytes_max / 2
    };
    assert!((22..=30).any(is_full));
    let full = newest();
    fs::write(&full, [fs::read(&full).unwrap(), b"{\"numb".to_vec()].concat()).unwrap();
    (31..=32).for_each(|generation| log().append(swapped(generation)));
    assert!(newest() > full, "another file has begun");
    assert_eq!(scratch.verify().problem, None);

    let first = scratch.verify().lines[0].number;
    fs::remove_file(scratch.path(&format!("Riley.{first:09}.jsonl"))).unwrap();
    let flaw = scratch.verify().problem.unwrap().flaw;
    assert!(matches!(flaw, Flaw::MissingBeginning { kept, .. } if kept == first), "{flaw:?}");
}

#[test]
fn lock_makes_one_chain_of_two_writers_and_many_threads() {
    let scratch = Scratch::new();
    let logs = [scratch.open(), scratch.open()];
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &logs[thread % 2];
            scope.spawn(move || (0..8).for_each(|generation| log.append(swapped(generation))));
        }
        (0..20).for_each(|_| match verify(scratch.state.path(), "Riley") {
            Ok(verified) => assert_eq!(verified.problem, None, "a reader never sees half of a write"),
            Err(error) => assert!(error.to_string().starts_with("no audit log")),
        });
    });
    let verified = scratch.verify();
    assert_eq!((verified.problem, verified.lines.len()), (None, 64));
}

#[test]
fn lost_entries_of_an_unwritable_disk_are_counted_and_noted() {
    let scratch = Scratch::new();
    // A file in the place of the directory prevents writes by any user, root included.
    fs::write(&scratch.directory, "").unwrap();
    let log = scratch.open();
    log.append(swapped(1));
    log.append(swapped(2));
    let status = log.status();
    assert_eq!((status.lost, status.last), (2, None));
    assert!(status.last_error.unwrap().starts_with(scratch.directory.to_str().unwrap()));
    fs::remove_file(&scratch.directory).unwrap();
    log.append(swapped(3));
    let verified = scratch.verify();
    assert_eq!((verified.problem, verified.lines.len(), log.status().lost), (None, 2, 2));
    let note = &verified.lines[0].entry;
    assert!(note.why.as_deref().unwrap().starts_with("2 entries could not be written, from 2"), "{note:?}");
    assert_eq!(note.lost.as_ref().map(|loss| loss.entries), Some(2));
}

#[test]
fn files_of_nodes_with_any_name_are_distinct() {
    let scratch = Scratch::new();
    for node in ["a/b", "a:b", "a_b", "a%2fb", "..", ".", "a.000000001", "a"] {
        AuditLog::open(scratch.state.path(), node, &AuditLimits::default()).unwrap().append(swapped(1));
        let verified = verify(scratch.state.path(), node).unwrap();
        assert_eq!((verified.problem, verified.lines.len()), (None, 1), "{node}");
    }
    assert_eq!(fs::read_dir(&scratch.directory).unwrap().count(), 24, "lines, head and lock of each");
    fs::write(scratch.path("a.7.jsonl"), "not written by us").unwrap();
    assert_eq!(verify(scratch.state.path(), "a").unwrap().problem, None);
}

#[test]
fn entry_texts_are_truncated() {
    let scratch = Scratch::new();
    scratch.open().append(Entry::new(&"\u{1}ä".repeat(10_000), Stage::Candidate).refused(&"ö".repeat(10_000)));
    let verified = scratch.verify();
    assert_eq!(verified.problem, None);
    assert!(scratch.lines()[0].len() < 8 << 10 && verified.lines[0].entry.who.ends_with("..."));
}

#[test]
fn entry_of_a_later_version_is_read() {
    let line = r#"{"who":"x","stage":"teleported","outcome":"maybe"}"#;
    let entry: Entry = serde_json::from_str(line).unwrap();
    assert_eq!((entry.stage, entry.outcome), (Stage::Other, EntryOutcome::Other));
}
