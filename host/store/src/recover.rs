//! Recovery: the newest complete snapshot, then the log files behind it, in order.
//!
//! Reads only. Damaged entries are named and skipped; a log file tells the length of the one before it, so missing ends and
//! files are found too. What stands behind a hole is delivered as not intact: records are still good, vectors are not.

use std::collections::BTreeMap;

use herd_replication::JournalKind;

use crate::entry_reader::{Ending, Found, read_entries};
use crate::file_head::{FORMAT, FileHead, FileKind, FileName, Follows, HEAD_BYTES, HeadRead};
use crate::files::{Files, OpenFile};
use crate::framing::{END, EntryNumbers, SKIPPABLE, SYNCED, is_repeated};
use crate::recovered::{DAMAGES_MAX, Damage, Doubtful, RecoverError, Recovered, RecoveryProgress, TornTail};

/// Reads all entries of a directory: `deliver(kind, payload, intact)`.
///
/// Entries may be delivered twice (in a snapshot and in the log), and before or after an older one of the same key in a snapshot
/// that is damaged; records are registers with a rank, so neither matters. If `intact` is false, entries before this one are
/// missing, and a vector counts for nothing.
///
/// `progress` is called for each MiB or so.
///
/// # Errors
///
/// The directory cannot be listed, or a file is of a later version. Nothing was changed; entries may have been delivered.
pub fn recover<F: Files>(
    files: &F,
    deliver: impl FnMut(JournalKind, &[u8], bool),
    progress: impl FnMut(RecoveryProgress),
) -> Result<Recovered, RecoverError> {
    let mut recovery = Recovery::new(deliver, progress);
    let found = Directory::read(files, &mut recovery)?;
    recovery.progress.bytes_all = found.bytes_all;
    recovery.read_snapshots(&found.snapshots);
    recovery.read_logs(&found.logs);
    recovery.settle_doubts();
    recovery.recovered.next_number = found.log_number_max.map_or(1, |number| number + 1).max(found.snapshot_number_max);
    recovery.recovered.entries = recovery.progress.entries;
    Ok(recovery.recovered)
}

/// A file whose head was read, or was not.
struct StoredFile<File> {
    name: String,
    number: u64,
    /// 0 if the length is not known.
    bytes: u64,
    opened: Result<(File, FileHead), Unopened>,
}

/// Reason why a file has no head.
enum Unopened {
    /// The disk fails.
    Failed(String),
    /// Bytes that are no head.
    Headless(&'static str),
}

impl Unopened {
    fn why(&self) -> &str {
        match self {
            Self::Failed(why) => why,
            Self::Headless(why) => why,
        }
    }
}

struct Directory<File> {
    /// Newest first.
    snapshots: Vec<StoredFile<File>>,
    /// Oldest first.
    logs: Vec<StoredFile<File>>,
    bytes_all: u64,
    log_number_max: Option<u64>,
    snapshot_number_max: u64,
}

impl<File: OpenFile> Directory<File> {
    /// Opens every file and reads its head, so that a file of a later version is found before anything is delivered.
    fn read<F: Files<File = File>, D, P>(files: &F, recovery: &mut Recovery<D, P>) -> Result<Self, RecoverError> {
        let mut found = Self {
            snapshots: Vec::new(),
            logs: Vec::new(),
            bytes_all: 0,
            log_number_max: None,
            snapshot_number_max: 0,
        };
        let mut names = files.names()?;
        names.sort_unstable();
        for name in names {
            let (list, number, kind) = match FileName::parse(&name) {
                Some(FileName::Log(number)) => {
                    found.log_number_max = found.log_number_max.max(Some(number));
                    (&mut found.logs, number, FileKind::Log)
                }
                Some(FileName::Snapshot(number)) => {
                    found.snapshot_number_max = found.snapshot_number_max.max(number);
                    (&mut found.snapshots, number, FileKind::Snapshot)
                }
                Some(FileName::Draft(_)) | None => continue,
            };
            let file = StoredFile::open(files, name, number, kind, recovery)?;
            found.bytes_all += file.bytes;
            list.push(file);
        }
        found.snapshots.sort_by_key(|file| std::cmp::Reverse(file.number));
        found.logs.sort_by_key(|file| file.number);
        Ok(found)
    }
}

impl<File: OpenFile> StoredFile<File> {
    fn open<F: Files<File = File>, D, P>(
        files: &F,
        name: String,
        number: u64,
        kind: FileKind,
        recovery: &mut Recovery<D, P>,
    ) -> Result<Self, RecoverError> {
        let failed = |name, why| Ok(Self { name, number, bytes: 0, opened: Err(Unopened::Failed(why)) });
        let headless = |name, bytes, why| Ok(Self { name, number, bytes, opened: Err(Unopened::Headless(why)) });
        let file = match files.open(&name) {
            Ok(file) => file,
            Err(error) => return failed(name, format!("cannot be opened: {error}")),
        };
        let bytes = match file.length() {
            Ok(bytes) => bytes,
            Err(error) => return failed(name, format!("cannot be read: {error}")),
        };
        let mut start = [0; HEAD_BYTES];
        let read = match read_start(&file, &mut start) {
            Ok(read) => read,
            Err(error) => return failed(name, format!("cannot be read: {error}")),
        };
        match FileHead::read(&start[..read]) {
            HeadRead::Newer { oldest_reader } => {
                Err(RecoverError::Newer { file: name, format: oldest_reader, known: FORMAT })
            }
            HeadRead::Damaged => headless(name, bytes, "the head of the file is damaged"),
            HeadRead::Head { head, .. } if head.kind != kind || head.number != number => {
                headless(name, bytes, "the file has the name of another one")
            }
            HeadRead::Head { head, damaged } => {
                // The other copy is whole: named, but no entry is missing for it.
                if damaged > 0 && read == HEAD_BYTES {
                    recovery.damage(&name, 0, damaged * (HEAD_BYTES as u64 / 2), "one copy of the head is damaged");
                }
                Ok(Self { name, number, bytes, opened: Ok((file, head)) })
            }
        }
    }
}

struct Recovery<D, P> {
    deliver: D,
    tell: P,
    progress: RecoveryProgress,
    recovered: Recovered,
    /// Snapshot that stands for all log files before its number.
    base: Option<u64>,
    /// The snapshot is a backup, which has no log files.
    backup: bool,
    /// Oldest damaged snapshot after the base. It may have held what the log files lost since, with the power or by damage, so nothing
    /// in those from its number on is intact.
    damaged_snapshot: Option<u64>,
    /// Offset at which the entries of each log file end.
    ends: BTreeMap<u64, u64>,
    /// Offset up to which each log file, and everything before it, is whole.
    whole: BTreeMap<u64, u64>,
    /// Last known sync: number of the log file, and the offset in it.
    certain: Option<(u64, u64)>,
    /// Last log file that repeats everything before it.
    repeated: u64,
    /// Last log file of which entries are damaged.
    damaged_log: Option<u64>,
}

/// Reading of the entries of one file.
struct FileEntries {
    ending: Ending,
    /// Offset up to which nothing is damaged.
    whole: u64,
    /// The last entry of a snapshot is there, and names the number of those before it.
    complete: bool,
    /// Offset up to which a log file is known to be on disk.
    synced: Option<u64>,
    /// The file repeats everything that could be read before it.
    repeats_all: bool,
}

impl<D, P> Recovery<D, P> {
    fn new(deliver: D, tell: P) -> Self {
        let recovered = Recovered {
            entries: 0,
            skipped: 0,
            snapshot_bytes: 0,
            log_bytes: 0,
            torn: Vec::new(),
            damages: Vec::new(),
            damaged: 0,
            holes: false,
            next_number: 1,
            follows: Follows::NOTHING,
            log_files: 0,
            doubtful: Vec::new(),
            doubts_all: true,
        };
        let progress = RecoveryProgress { bytes: 0, bytes_all: 0, entries: 0 };
        Self {
            deliver,
            tell,
            progress,
            recovered,
            base: None,
            backup: false,
            damaged_snapshot: None,
            ends: BTreeMap::new(),
            whole: BTreeMap::new(),
            certain: None,
            repeated: 0,
            damaged_log: None,
        }
    }

    fn damage(&mut self, file: &str, offset: u64, bytes: u64, why: &str) {
        note(&mut self.recovered, file, offset, bytes, why);
    }

    fn torn(&mut self, file: &str, offset: u64, bytes: u64) {
        self.recovered.torn.push(TornTail { file: file.into(), offset, bytes });
        self.recovered.log_bytes -= bytes;
    }

    /// The log ends in a hole: whatever follows is not intact.
    fn hole(&mut self) {
        self.recovered.holes = true;
        self.recovered.follows = Follows::GAP;
    }

    /// Returns whether nothing is missing before a log file.
    fn follows_whole(&self, head: &FileHead) -> bool {
        let Follows { number, bytes } = head.follows;
        match head.follows {
            _ if self.base == Some(head.number) => true,
            Follows::NOTHING => self.base.is_none() && self.whole.is_empty(),
            _ => self.whole.get(&number).is_some_and(|whole| bytes <= *whole),
        }
    }

    /// Returns whether the place that a log file follows is no longer there.
    fn follows_missing(&self, head: &FileHead) -> bool {
        let Follows { number, bytes } = head.follows;
        let is_place = ![Follows::NOTHING, Follows::GAP].contains(&head.follows) && self.base != Some(head.number);
        is_place && self.ends.get(&number).is_none_or(|end| *end < bytes)
    }

    /// Notes what of a log file may not be on disk: what stands behind the last mark.
    ///
    /// A mark also says that what earlier files held then is on disk, or repeated in one of the files since.
    fn doubt(&mut self, head: &FileHead, synced: Option<u64>, to: u64) {
        let doubtful = &mut self.recovered.doubtful;
        doubtful.push(Doubtful { number: head.number, salt: head.salt, from: head.entries_at, to });
        if let Some(synced) = synced {
            self.certain = Some((head.number, synced));
        }
    }

    /// Drops what is certainly on disk from what is doubtful.
    ///
    /// What is damaged may be what a file repeated, so nothing is taken for granted then, unless a later file has repeated all of it: or
    /// each start would repeat what those before have repeated, and the log would double until a snapshot is written.
    fn settle_doubts(&mut self) {
        let certain = self.certain.filter(|_| self.damaged_log.is_none_or(|damaged| damaged < self.repeated));
        self.recovered.doubts_all = certain.is_none();
        for part in &mut self.recovered.doubtful {
            match certain {
                Some((number, _)) if part.number < number => part.from = part.to,
                Some((number, offset)) if part.number == number => part.from = part.from.max(offset),
                _ => {}
            }
        }
        self.recovered.doubtful.retain(|part| part.from < part.to);
    }
}

impl<D: FnMut(JournalKind, &[u8], bool), P: FnMut(RecoveryProgress)> Recovery<D, P> {
    /// Reads the newest complete snapshot. Incomplete ones before it give what they have.
    fn read_snapshots<File: OpenFile>(&mut self, snapshots: &[StoredFile<File>]) {
        for snapshot in snapshots {
            let (file, head) = match &snapshot.opened {
                Ok(opened) => opened,
                Err(unopened) => {
                    self.damage(&snapshot.name, 0, snapshot.bytes, unopened.why());
                    self.damaged_snapshot = Some(snapshot.number);
                    continue;
                }
            };
            let read = self.read_file(&snapshot.name, file, head, snapshot.bytes, true);
            let Ending { entries_end, tail_bytes, why } = &read.ending;
            if *tail_bytes > 0 {
                self.damage(&snapshot.name, *entries_end, *tail_bytes, why);
            } else if !read.complete && read.whole == *entries_end {
                self.damage(&snapshot.name, *entries_end, 0, "the end of the snapshot is missing");
            }
            if read.complete && read.whole == snapshot.bytes {
                self.recovered.snapshot_bytes = snapshot.bytes;
                self.base = Some(snapshot.number);
                // The log file of the same number may have lost all of its bytes, and be followed by another.
                self.recovered.follows = Follows { number: snapshot.number, bytes: 0 };
                self.whole.insert(snapshot.number, 0);
                self.backup = head.follows == Follows::NOTHING;
                return;
            }
            self.damaged_snapshot = Some(snapshot.number);
        }
    }

    /// Reads the log files that the snapshot does not stand for.
    fn read_logs<File: OpenFile>(&mut self, logs: &[StoredFile<File>]) {
        let logs: Vec<_> = logs.iter().filter(|log| self.base.is_none_or(|number| log.number >= number)).collect();
        let behind_expected = self.base.map_or(self.recovered.damaged > 0, |_| !self.backup);
        if logs.is_empty() && behind_expected {
            self.damage(&FileName::Log(self.base.unwrap_or(1)).text(), 0, 0, "the file is missing");
            self.hole();
        }
        let last_readable = logs.iter().rposition(|log| log.opened.is_ok());
        for (index, log) in logs.iter().enumerate() {
            let last = last_readable.is_none_or(|readable| index >= readable);
            self.recovered.log_files += 1;
            self.recovered.log_bytes += log.bytes;
            match &log.opened {
                Ok((file, head)) => self.read_log(log, file, head, last),
                Err(Unopened::Headless(_)) if log.bytes == 0 => {}
                // A crash while a log file was begun leaves one without a whole head, and nothing behind it.
                Err(Unopened::Headless(_)) if last && log.bytes < HEAD_BYTES as u64 => {
                    self.torn(&log.name, 0, log.bytes);
                }
                Err(unopened) => {
                    self.damage(&log.name, 0, log.bytes, unopened.why());
                    self.damaged_log = Some(log.number);
                    self.hole();
                }
            }
        }
    }

    fn read_log<File: OpenFile>(&mut self, log: &StoredFile<File>, file: &File, head: &FileHead, last: bool) {
        self.recovered.holes = !self.follows_whole(head);
        if self.recovered.holes {
            let why = match head.follows {
                Follows::GAP => "entries before this file could not be written",
                _ => "entries before this file are missing",
            };
            self.damage(&log.name, 0, 0, why);
        }
        if self.follows_missing(head) {
            // What is missing may be what a file repeated.
            self.damaged_log = self.damaged_log.max(Some(head.number.saturating_sub(1)));
        }
        self.recovered.holes |= self.damaged_snapshot.is_some_and(|number| log.number >= number);
        let read = self.read_file(&log.name, file, head, log.bytes, false);
        let Ending { entries_end, tail_bytes, why } = &read.ending;
        match tail_bytes {
            0 => {}
            bytes if last => self.torn(&log.name, *entries_end, *bytes),
            bytes => self.damage(&log.name, *entries_end, *bytes, why),
        }
        if !self.recovered.holes {
            self.whole.insert(log.number, read.whole);
        }
        if read.whole < *entries_end || *tail_bytes > 0 && !last {
            self.damaged_log = Some(log.number);
        }
        self.recovered.holes |= read.whole < *entries_end;
        self.ends.insert(log.number, *entries_end);
        self.recovered.follows = Follows { number: log.number, bytes: *entries_end };
        self.doubt(head, read.synced, *entries_end);
        if read.repeats_all {
            self.repeated = log.number;
        }
    }

    /// Delivers the entries of a file.
    fn read_file<File: OpenFile>(
        &mut self,
        name: &str,
        file: &File,
        head: &FileHead,
        bytes: u64,
        snapshot: bool,
    ) -> FileEntries {
        let Self { deliver, tell, progress, recovered, .. } = self;
        let (mut entries, mut damaged_at, mut complete, mut synced) = (0u64, None, false, None);
        let mut repeats_all = false;
        let holes_before = recovered.holes;
        let (part, numbers) = (head.entries_at..bytes, EntryNumbers::from_start());
        let ending = read_entries(file, head.framing(), part, numbers, |found| match found {
            Found::Entry { code: END, payload, .. } if snapshot => complete = payload == entries.to_le_bytes(),
            Found::Entry { code: SYNCED, payload, .. } if !snapshot => {
                synced = payload.try_into().ok().map(u64::from_le_bytes);
            }
            Found::Entry { code, payload, .. } if !snapshot && is_repeated(code, payload) => repeats_all = true,
            Found::Entry { code, payload, offset } => {
                entries += 1;
                match JournalKind::from_code(code) {
                    Some(kind) => {
                        progress.entries += 1;
                        deliver(kind, payload, damaged_at.is_none() && !holes_before);
                    }
                    None if code >= SKIPPABLE => recovered.skipped += 1,
                    None => {
                        damaged_at.get_or_insert(offset);
                        let why = format!("an entry has the unknown kind {code}, of a later version");
                        note(recovered, name, offset, payload.len() as u64, &why);
                    }
                }
            }
            Found::Damage { offset, bytes, why } => {
                damaged_at.get_or_insert(offset);
                note(recovered, name, offset, bytes, &why);
            }
            Found::Read { bytes } => {
                progress.bytes += bytes;
                tell(*progress);
            }
        });
        FileEntries { whole: damaged_at.unwrap_or(ending.entries_end), ending, complete, synced, repeats_all }
    }
}

fn note(recovered: &mut Recovered, file: &str, offset: u64, bytes: u64, why: &str) {
    recovered.damaged += 1;
    if recovered.damages.len() < DAMAGES_MAX {
        recovered.damages.push(Damage { file: file.into(), offset, bytes, why: why.into() });
    }
}

fn read_start<File: OpenFile>(file: &File, start: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < start.len() {
        match file.read_at(read as u64, &mut start[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}
