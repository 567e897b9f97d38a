//! Target: the files of a node's records, damaged in any way.
//!
//! Nothing is served that was not written, whatever is flipped, cut, moved, repeated or missing; what is read once is read again after the next
//! start, with what was written since. Files that were never ours are read without a fault; so are entries with any content.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use herd_replication::{JournalKind, NoJournal, Replica, ReplicaConfig};
use herd_store::{
    Durability, EntryRun, Files, Log, LogOptions, OpenFile, SimFiles, SnapshotSource, StoreConfig, recover, snapshot,
};

use crate::input::{Input, push_step};

/// Bytes that an input may make the node hold. The table of the numbers of lanes has up to 4 MiB, and twice more while it grows.
pub const BYTES_MAX: usize = 16 << 20;

/// Runs an input: a byte that says which files there are, then the steps that damage them.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    match input.byte() {
        0 => damaged(input),
        1 => entries(input),
        _ => foreign(input),
    }
}

/// Returns damage of each kind, files that are whole, and entries as a node writes them.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for what in 0..KINDS {
        for file in 0..4 {
            let mut seed = vec![0];
            push_step(&mut seed, what, &[file, 140, 0, 0x10, 13, 0]);
            seeds.push((format!("damage-{what}-{file}"), seed));
        }
    }
    for (index, (name, bytes)) in WRITTEN.files.iter().enumerate() {
        let mut seed = vec![2];
        push_step(&mut seed, name.starts_with("snapshot").into(), bytes);
        seeds.push((format!("file-{index}"), seed));
    }
    let mut seed = vec![1];
    for (kind, payload) in journal() {
        push_step(&mut seed, kind.code(), &payload);
    }
    seeds.push(("entries".into(), seed));
    // It made the node reserve gigabytes.
    let mut seed = vec![1];
    push_step(&mut seed, JournalKind::Lanes.code(), b"\xfc\xef\xff\xef\x01\x01\0\0\0\x01");
    seeds.push(("lane-number".into(), seed));
    // Its number is the last one that a lane may have.
    let mut seed = vec![1];
    let mut lanes = vec![0xff, 0xff, 0x3f];
    lanes.extend(b"\x01a");
    lanes.extend([0; 3]);
    push_step(&mut seed, JournalKind::Lanes.code(), &lanes);
    seeds.push(("last-lane-number".into(), seed));
    // A table counts on a key. These lanes are defined first.
    let mut seed = vec![1];
    for (kind, payload) in journal() {
        if kind == JournalKind::Lanes {
            push_step(&mut seed, kind.code(), &payload);
        }
    }
    push_step(&mut seed, JournalKind::Report.code(), b"\0\0\x01\0\x01\0\x01a\x02AT");
    seeds.push(("no-key".into(), seed));
    seeds
}

/// Files that processes of a node wrote: a snapshot, and logs before and after it.
struct Written {
    files: Vec<(String, Vec<u8>)>,
    entries: BTreeSet<Vec<u8>>,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let (files, mut entries) = (SimFiles::new(), BTreeSet::new());
    for process in 0..4 {
        let log = begin(&files);
        for number in 0..5 {
            let text = format!("entry {number} of process {process}, with {}", "x".repeat(7 * number));
            log.append(JournalKind::Report, text.as_bytes());
            entries.insert(text.into_bytes());
        }
        log.flush();
        if process == 1 {
            let texts = entries.iter().cloned().collect();
            snapshot(&log, || Texts(texts)).expect("the simulated disk works");
        }
        files.kill();
    }
    let files = files.reopen();
    let mut names = files.names().expect("the simulated disk works");
    names.sort();
    let files = names.into_iter().map(|name| (name.clone(), files.content(&name).unwrap_or_default())).collect();
    Written { files, entries }
});

struct Texts(Vec<Vec<u8>>);

impl SnapshotSource for Texts {
    fn fill(&mut self, run: &mut EntryRun) -> bool {
        if let Some(text) = self.0.pop() {
            run.push(JournalKind::Report, &text);
        }
        !self.0.is_empty()
    }
}

const KINDS: u8 = 8;

/// Damages files that were written.
fn damaged(mut input: Input<'_>) {
    let mut files = WRITTEN.files.clone();
    while let Some((what, bytes)) = input.step() {
        let mut choice = Input::new(bytes);
        let count = files.len().max(1);
        let Some((_, content)) = files.get_mut(usize::from(choice.byte()) % count) else { break };
        let at = choice.number() % (content.len() + 1);
        let (bits, length) = (choice.byte(), choice.number());
        let end = (at + length).min(content.len());
        match what % KINDS {
            0 => content.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits),
            1 => drop(content.drain(at..end)),
            2 => content.truncate(at),
            3 => content.splice(at..at, vec![bits; length.min(4096)]).for_each(drop),
            4 => {
                let part = content[at..end].to_vec();
                content.extend(part);
            }
            5 => content[at..end].fill(bits),
            6 => {
                let index = usize::from(bits) % count;
                files.remove(index);
            }
            _ => {
                // Two files with each other's names.
                let other = usize::from(bits) % count;
                let name = files[other].0.clone();
                let file = files.iter_mut().find(|file| file.0 != name);
                let Some(file) = file else { continue };
                let own = std::mem::replace(&mut file.0, name);
                files[other].0 = own;
            }
        }
    }
    let disk = disk(&files);
    let Some(first) = read(&disk) else { return };
    for entry in &first {
        assert!(WRITTEN.entries.contains(entry), "{:?} was never written", String::from_utf8_lossy(entry));
    }
    let log = begin(&disk);
    log.append(JournalKind::Report, b"written since");
    log.flush();
    disk.kill();
    let second = read(&disk.reopen()).expect("what was read once is read again");
    assert!(first.is_subset(&second), "entries are lost by a start");
    assert!(second.contains(&b"written since"[..]), "what was written since is lost");
}

/// Reads files with any content.
fn foreign(mut input: Input<'_>) {
    let mut files = Vec::new();
    while let Some((what, bytes)) = input.step() {
        let number = 1 + files.len();
        let name = if what & 1 > 0 { format!("snapshot-{number:08}") } else { format!("log-{number:08}") };
        files.push((name, bytes.to_vec()));
        if files.len() == 8 {
            break;
        }
    }
    let disk = disk(&files);
    if read(&disk).is_some() {
        let log = begin(&disk);
        log.append(JournalKind::Report, b"written since");
        log.flush();
        disk.kill();
        let read = read(&disk.reopen()).expect("a log that was begun can be read");
        assert!(read.contains(&b"written since"[..]), "what was written since is lost");
    }
}

/// Recovers a replica from entries with any content, and writes it anew.
fn entries(mut input: Input<'_>) {
    let config = || ReplicaConfig { workers: 1, ..ReplicaConfig::for_tests("Riley") };
    let mut replica = Replica::without_log(config());
    let mut recovery = replica.recovery().at(1_000);
    while let Some((what, bytes)) = input.step() {
        if let Some(kind) = JournalKind::from_code(what & !0x40) {
            let _ = recovery.entry(kind, bytes, what & 0x40 == 0);
        }
    }
    let _ = recovery.finish();
    replica.attach(NoJournal);
    let replica = Arc::new(replica);
    let before = replica.list(b"", None, 1_000);
    let (mut written, mut snapshot) = (Vec::new(), replica.snapshot());
    while snapshot.next(|kind, payload| written.push((kind, payload.to_vec()))) {}
    let mut again = Replica::without_log(config());
    let mut recovery = again.recovery().at(1_000);
    for (kind, payload) in written {
        recovery.entry(kind, &payload, true).expect("what a node writes can be read");
    }
    let _ = recovery.finish();
    again.attach(NoJournal);
    let after = Arc::new(again).list(b"", None, 1_000);
    let keys = |records: &[herd_replication::ListedRecord]| {
        records.iter().map(|record| (record.key.clone(), record.record.clone())).collect::<Vec<_>>()
    };
    assert_eq!(keys(&after), keys(&before), "a snapshot differs from its replica");
}

/// Returns what a node with records writes.
fn journal() -> Vec<(JournalKind, Vec<u8>)> {
    let config = ReplicaConfig { workers: 1, ..ReplicaConfig::for_tests("Riley") };
    let replica = Arc::new(Replica::new(config, NoJournal));
    for key in ["kiwi", "apple"] {
        let record = herd_replication::NewRecord {
            key: key.as_bytes(),
            rank: b"\x01",
            form: 1,
            record: b"AT Riley +0.1 kiwi +1-1 1",
            expires_at: 2_000,
            only: None,
        };
        let _ = replica.keep(0, record);
    }
    let _ = replica.forget(b"apple", 3_000);
    let (mut written, mut snapshot) = (Vec::new(), replica.snapshot());
    while snapshot.next(|kind, payload| written.push((kind, payload.to_vec()))) {}
    written
}

fn disk(files: &[(String, Vec<u8>)]) -> SimFiles {
    let disk = SimFiles::new();
    for (name, content) in files {
        if let Ok(file) = disk.create(name) {
            let _ = file.append(content);
            let _ = file.sync();
        }
    }
    let _ = disk.sync_directory();
    disk
}

/// Returns all that a start finds, or `None` if it refuses because of a file of a later version.
fn read(disk: &SimFiles) -> Option<BTreeSet<Vec<u8>>> {
    let mut entries = BTreeSet::new();
    let deliver = |_, payload: &[u8], _| {
        entries.insert(payload.to_vec());
    };
    recover(disk, deliver, |_| ()).ok().map(|_| entries)
}

fn begin(files: &SimFiles) -> Arc<Log<SimFiles>> {
    let files = files.reopen();
    let recovered = recover(&files, |_, _, _| (), |_| ()).expect("the files are of this version");
    let config = StoreConfig { durability: Durability::Os, ..StoreConfig::default() };
    Arc::new(Log::begin(files, &recovered, LogOptions::new(&config, 7), || ()))
}
