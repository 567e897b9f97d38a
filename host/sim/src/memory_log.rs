//! Log of a node in memory, for worlds without disks: entries that a crash cuts off or damages where chance wills.
//!
//! Owns the entries of all processes of a node. Bounds: those of a run.

use std::sync::Arc;

use herd_replication::{Journal, JournalKind};
use parking_lot::Mutex;

use crate::chance::Chance;

/// Log of a node. Clones are one log.
#[derive(Clone, Debug)]
pub(crate) struct MemoryLog(Arc<Mutex<Entries>>);

#[derive(Debug)]
struct Entries {
    survives: Survives,
    /// Stands for everything before `entries`.
    snapshot: Vec<Entry>,
    entries: Vec<Entry>,
    /// Entries that the operating system has.
    written: usize,
    /// Entries that the disk has.
    synced: usize,
    /// Position of the first of `entries`.
    cut: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: JournalKind,
    pub(crate) payload: Vec<u8>,
    damaged: bool,
}

/// Event that the records of a node survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survives {
    /// No end of the process.
    Nothing,
    /// The end of the process.
    Kill,
    /// A loss of power.
    PowerLoss,
}

impl MemoryLog {
    pub(crate) fn new(survives: Survives) -> Self {
        Self(Arc::new(Mutex::new(Entries {
            survives,
            snapshot: Vec::new(),
            entries: Vec::new(),
            written: 0,
            synced: 0,
            cut: 0,
        })))
    }

    /// Returns the position up to which a sync that begins now reaches.
    pub(crate) fn begin_sync(&self) -> usize {
        let mut log = self.0.lock();
        log.written = log.end();
        log.written
    }

    pub(crate) fn end_sync(&self, reached: usize) {
        let mut log = self.0.lock();
        log.synced = log.synced.max(reached);
    }

    /// Ends the process, or the power with it: what is not safe yet is cut off somewhere.
    pub(crate) fn crash(&self, chance: &mut Chance) {
        let mut log = self.0.lock();
        let safe = match log.survives {
            Survives::Nothing => {
                log.entries.clear();
                log.snapshot.clear();
                (log.written, log.synced, log.cut) = (0, 0, 0);
                return;
            }
            Survives::Kill => log.written,
            Survives::PowerLoss => log.synced,
        };
        let end = chance.between(safe as u64, log.end() as u64) as usize;
        let (cut, end) = (log.cut, end.max(log.cut));
        log.entries.truncate(end - cut);
        (log.written, log.synced) = (end, end);
    }

    /// Damages an entry that is not an own keep of the node: what it held is to be had from a peer.
    pub(crate) fn damage(&self, chance: &mut Chance) {
        let mut log = self.0.lock();
        let mut others: Vec<&mut Entry> =
            log.entries.iter_mut().filter(|entry| entry.kind != JournalKind::Own).collect();
        let index = chance.index(others.len());
        if let Some(entry) = others.get_mut(index) {
            entry.damaged = true;
        }
    }

    /// Calls `each` with every entry that can be read, and whether none before it was damaged. Behind a damaged one nothing is believed
    /// by vectors, until the whole log is written anew.
    pub(crate) fn read(&self, mut each: impl FnMut(&Entry, bool)) {
        let log = self.0.lock();
        let mut intact = true;
        for entry in log.snapshot.iter().chain(&log.entries) {
            if entry.damaged {
                intact = false;
            } else {
                each(entry, intact);
            }
        }
    }

    /// Returns the position at which a new segment begins.
    pub(crate) fn begin_segment(&self) -> usize {
        self.0.lock().end()
    }

    /// Puts a snapshot in the place of everything before a position. It is on the disk.
    pub(crate) fn replace(&self, before: usize, snapshot: Vec<(JournalKind, Vec<u8>)>) {
        let mut log = self.0.lock();
        let at = before - log.cut;
        let segment = log.entries.split_off(at);
        (log.entries, log.cut) = (segment, before);
        log.snapshot = snapshot.into_iter().map(|(kind, payload)| Entry { kind, payload, damaged: false }).collect();
    }
}

impl Journal for MemoryLog {
    fn append(&self, kind: JournalKind, payload: &[u8]) -> u64 {
        let mut log = self.0.lock();
        if log.survives != Survives::Nothing {
            log.entries.push(Entry { kind, payload: payload.to_vec(), damaged: false });
        }
        log.end() as u64
    }

    fn position(&self) -> u64 {
        self.0.lock().end() as u64
    }

    fn durable(&self) -> u64 {
        let log = self.0.lock();
        match log.survives {
            Survives::Nothing => log.end() as u64,
            Survives::Kill => log.written as u64,
            Survives::PowerLoss => log.synced as u64,
        }
    }

    fn flush(&self) -> bool {
        let mut log = self.0.lock();
        log.written = log.end();
        true
    }

    fn accepts(&self) -> bool {
        true
    }
}

impl Entries {
    fn end(&self) -> usize {
        self.cut + self.entries.len()
    }
}
