//! The bound of a log in bytes, and the proof of what it dropped.

use super::*;

const BOUNDS: Bounds = Bounds { file_bytes_max: 1000, bytes_max: 3000 };

fn open(scratch: &Scratch) -> AuditLog {
    AuditLog::with_bounds(scratch.state.path(), "Riley", BOUNDS).unwrap()
}

#[test]
fn audit_stays_within_its_bound_in_bytes() {
    let scratch = Scratch::new();
    let log = open(&scratch);
    for generation in 1..=50 {
        log.append(swapped(generation));
        let bytes: u64 = scratch.segments().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert!(bytes <= 3000, "{bytes} bytes after {generation} entries");
    }
    assert_eq!(scratch.verify().lines.last().unwrap().number, 50);
    let bounds = Bounds::from(&AuditLimits::default());
    assert_eq!((bounds.file_bytes_max, bounds.bytes_max >> 10), (1 << 20, (16 << 10) - 8));
}

#[test]
fn audit_splits_a_batch_larger_than_a_file() {
    let scratch = Scratch::new();
    fs::create_dir(&scratch.directory).unwrap();
    let lock = fs::File::create(scratch.path("Riley.lock")).unwrap();
    lock.lock().unwrap();
    let log = open(&scratch);
    (1..=100).for_each(|generation| log.append_soon(swapped(generation)));
    drop(lock);
    log.flush();
    let verified = scratch.verify();
    assert_eq!((verified.problem, verified.lines.last().unwrap().number), (None, 100));
    assert!(scratch.segments().iter().all(|path| fs::metadata(path).unwrap().len() <= 1000));
}

#[test]
fn audit_proves_what_its_bound_dropped() {
    let scratch = Scratch::new();
    let log = open(&scratch);
    (1..=20).for_each(|generation| log.append(swapped(generation)));
    let verified = scratch.verify();
    let (first, head) = (&verified.lines[0], verified.head.as_ref().unwrap());
    let dropped = head.dropped.as_ref().unwrap();
    assert_eq!((&verified.problem, first.number, head.first), (&None, dropped.entries + 1, dropped.entries + 1));
    assert_eq!((first.previous, &dropped.problem), (dropped.hash, &None), "the hash pins what was dropped");
    let words = format!("; {} entries before {} were dropped by the bound of the log", dropped.entries, first.at);
    assert!(verified.verdict().ends_with(&words), "{}", verified.verdict());

    // Removes one more file, and says in the head that the bound dropped it.
    let mut head = head.clone();
    fs::remove_file(&scratch.segments()[0]).unwrap();
    let verified = scratch.verify();
    let found = verified.lines[0].number;
    assert_eq!(verified.problem.unwrap().flaw, Flaw::MissingBeginning { found, kept: head.first });
    head.first = found;
    head.dropped =
        Some(crate::Dropped { entries: found - 1, hash: verified.lines[0].previous, lost: 0, problem: None });
    head.write(&scratch.path("Riley.head"), None).unwrap();
    assert_eq!(scratch.verify().problem.unwrap().flaw, Flaw::ForeignHead);
    scratch.remove_key();
    assert_eq!(scratch.verify().problem, None, "without the key nobody can tell");
}

#[test]
fn audit_bound_does_not_hide_a_changed_file() {
    let scratch = Scratch::new();
    let log = open(&scratch);
    (1..=3).for_each(|generation| log.append(swapped(generation)));
    let text = fs::read_to_string(scratch.path(FIRST)).unwrap();
    fs::write(scratch.path(FIRST), text.replacen("mira", "noah", 1)).unwrap();
    (4..=40).for_each(|generation| log.append(swapped(generation)));
    assert!(!scratch.path(FIRST).exists());
    let problem = scratch.verify().problem.unwrap();
    assert!(
        matches!(&problem.flaw, Flaw::DroppedProblem(text) if text.contains(&format!("{FIRST}:1: this line was changed"))),
        "{problem}"
    );
    let verified = scratch.verify();
    let dropped = verified.head.unwrap().dropped.unwrap();
    assert_eq!((verified.lines[0].previous, verified.lines[0].number), (dropped.hash, dropped.entries + 1));
}

#[test]
fn audit_bound_counts_losses_that_it_dropped() {
    let scratch = Scratch::new();
    fs::write(&scratch.directory, "").unwrap();
    let log = open(&scratch);
    (1..=3).for_each(|generation| log.append(swapped(generation)));
    fs::remove_file(&scratch.directory).unwrap();
    (4..=40).for_each(|generation| log.append(swapped(generation)));
    let verified = scratch.verify();
    assert_eq!((&verified.problem, verified.losses().count()), (&None, 0));
    assert!(verified.verdict().ends_with(", which recorded the loss of 3 others"), "{}", verified.verdict());
}

#[test]
fn audit_bound_survives_a_crash_before_the_removal() {
    let scratch = Scratch::new();
    let log = open(&scratch);
    (1..=4).for_each(|generation| log.append(swapped(generation)));
    let first = fs::read(scratch.path(FIRST)).unwrap();
    (5..=20).for_each(|generation| log.append(swapped(generation)));
    assert!(!scratch.path(FIRST).exists());
    let before = scratch.verify().head.unwrap().dropped.unwrap();
    fs::write(scratch.path(FIRST), first).unwrap();
    log.append(swapped(21));
    assert!(!scratch.path(FIRST).exists(), "removed with the next append");
    let verified = scratch.verify();
    assert_eq!(verified.problem, None);
    assert!(verified.head.unwrap().dropped.unwrap().entries >= before.entries);
}
