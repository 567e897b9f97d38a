//! Entries that wait for the lock of another process, and entries that are lost.

use std::time::{Duration, Instant};

use super::*;

/// Locks everything that a node may lock: the directory, and every lock file in it.
fn lock_all(scratch: &Scratch) -> Vec<fs::File> {
    let files = fs::read_dir(&scratch.directory).unwrap().map(|file| file.unwrap().path());
    let locks = files.filter(|path| path.extension().is_some_and(|extension| extension == "lock"));
    let opened: Vec<_> = locks.chain([scratch.directory.clone()]).map(|path| fs::File::open(path).unwrap()).collect();
    opened.iter().for_each(|file| file.lock().unwrap());
    opened
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn audit_keeps_entries_while_another_process_holds_the_lock() {
    let scratch = Scratch::with_entries(1);
    let locks = lock_all(&scratch);
    let log = scratch.open();
    log.append(swapped(2));
    let status = log.status();
    assert_eq!((status.lost, status.waiting, status.queued), (0, 1, 0));
    assert_eq!(status.last_error.as_deref(), Some("another process holds the lock of the audit log"));
    let error = verify(scratch.state.path(), "Riley").unwrap_err().to_string();
    assert!(error.ends_with("another process holds its lock"), "{error}");
    (3..=20).for_each(|generation| log.append(swapped(generation)));
    drop(locks);
    eventually("the entries are written without another one", || log.status().waiting == 0);
    let verified = scratch.verify();
    assert_eq!((verified.problem, verified.lines.len(), log.status().last_error), (None, 20, None));
}

#[test]
fn audit_counts_entries_that_are_about_to_be_written() {
    let scratch = Scratch::with_entries(1);
    let locks = lock_all(&scratch);
    let log = scratch.open();
    log.append_soon(swapped(2));
    // The thread waits for the lock for a while before it keeps the entry for later.
    assert_eq!((log.status().queued, log.status().waiting), (1, 0));
    drop(locks);
    log.flush();
    assert_eq!((log.status().queued, log.status().last), (0, Some(2)));
}

#[test]
fn audit_lock_of_one_node_costs_another_none() {
    let scratch = Scratch::with_entries(1);
    let _locks = lock_all(&scratch);
    let other = AuditLog::open(scratch.state.path(), "Jaquez", &AuditLimits::default()).unwrap();
    other.append(swapped(1));
    assert_eq!((other.status().last, other.status().lost, other.status().waiting), (Some(1), 0, 0));
}

#[test]
fn audit_notes_entries_lost_to_a_full_queue() {
    let scratch = Scratch::with_entries(1);
    let locks = lock_all(&scratch);
    let log = scratch.open();
    (0..5000).for_each(|generation| log.append_soon(swapped(generation)));
    drop(locks);
    let recorded = || -> u64 { scratch.verify().losses().map(|(_, loss)| loss.entries).sum() };
    eventually("the loss is recorded without another entry", || {
        let lost = log.status().lost;
        lost > 0 && recorded() == lost && log.status().waiting == 0
    });
    let verified = scratch.verify();
    let lost = log.status().lost;
    let notes = verified.losses().count() as u64;
    assert_eq!((&verified.problem, verified.lines.len() as u64), (&None, 5001 - lost + notes));
    let verdict = verified.verdict();
    assert!(
        verdict.contains(&format!(" entries, intact but for {lost} that could not be written; head ")),
        "{verdict}"
    );
    assert!(verdict.contains("too many entries wait for the disk (recorded in entry "), "{verdict}");
}

#[test]
fn audit_keeps_a_bounded_number_of_entries_for_the_lock() {
    let scratch = Scratch::with_entries(1);
    let locks = lock_all(&scratch);
    let log = scratch.open();
    // Slower than the thread, so that the queue is never full.
    for _ in 0..15 {
        (0..100).for_each(|generation| log.append_soon(swapped(generation)));
        log.flush();
    }
    let status = log.status();
    assert_eq!((status.waiting, status.lost), (1024, 1500 - 1024));
    drop(locks);
    eventually("all is written", || log.status().waiting == 0);
    let verified = scratch.verify();
    assert_eq!(verified.lines.len(), 1 + 1024 + 1);
    let (_, loss) = verified.losses().next().unwrap();
    assert_eq!((loss.entries, &*loss.why), (476, "another process holds the lock of the audit log"));
    assert!(loss.from_ns < loss.to_ns);
}

#[test]
fn audit_verification_reports_losses() {
    let scratch = Scratch::new();
    fs::write(&scratch.directory, "").unwrap();
    let log = scratch.open();
    (1..=3).for_each(|generation| log.append(swapped(generation)));
    fs::remove_file(&scratch.directory).unwrap();
    log.append(swapped(4));
    let verdict = scratch.verify().verdict();
    assert!(verdict.starts_with("2 entries, intact but for 3 that could not be written; head 2 "), "{verdict}");
    assert!(verdict.contains("; 3 entries could not be written, from 2"), "{verdict}");
    assert!(verdict.ends_with(" (recorded in entry 1)"), "{verdict}");
    assert!(scratch.lines()[0].contains("\"lost\":{\"entries\":3,\"from_ns\":"));
}
