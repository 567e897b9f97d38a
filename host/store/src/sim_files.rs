//! Files in memory that lose, tear and damage what a real disk may lose, tear and damage.
//!
//! Deterministic: what chance decides is asked of a function that the caller hands in. Clones share one disk.
//!
//! The disk is as unkind as POSIX allows. Unsynced bytes may be lost from any offset on, and sectors before it may never have been
//! written; a name may be lost or kept without a sync of the directory; after a failed sync, unsynced bytes can be read, and are
//! gone after a loss of power even if a later sync succeeded.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::files::{Files, OpenFile};

/// Directory in memory, with faults on demand, as one process has it open.
#[derive(Clone, Debug, Default)]
pub struct SimFiles {
    disk: Arc<Mutex<Disk>>,
    age: u64,
}

/// Operation that a simulated disk can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskOperation {
    /// Creating, renaming, removing.
    Name,
    /// Appending and truncating. Some of the bytes are written.
    Write,
    /// Syncing a file.
    Sync,
    /// Syncing the directory.
    SyncDirectory,
    /// Reading, opening, listing.
    Read,
}

#[derive(Debug, Default)]
struct Disk {
    names: BTreeMap<String, usize>,
    /// Names after a loss of power, if no change since the last sync of the directory reached the disk.
    synced_names: BTreeMap<String, usize>,
    changes: Vec<NameChange>,
    inodes: Vec<Inode>,
    faults: BTreeMap<DiskOperation, Fault>,
    space: Option<u64>,
    /// Grows with every crash. What was opened at an earlier age is of a process that is gone.
    age: u64,
}

#[derive(Clone, Debug)]
enum NameChange {
    Set { name: String, inode: usize },
    Rename { from: String, to: String, inode: usize },
    Remove { name: String },
}

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// Bytes that outlast a loss of power.
    synced: usize,
    /// A sync failed: nothing behind `synced` will ever reach the disk.
    poisoned: bool,
    /// Content before a truncation that is not synced yet.
    before_truncation: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    after: u64,
    times: u64,
}

impl SimFiles {
    /// Creates an empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the directory for the next process, after a [`kill`](Self::kill) or [`crash`](Self::crash).
    pub fn reopen(&self) -> Self {
        Self { disk: self.disk.clone(), age: self.disk.lock().age }
    }

    /// Fails an operation `times` times, after it has succeeded `after` times, with an input/output error.
    pub fn fail(&self, operation: DiskOperation, after: u64, times: u64) {
        self.disk.lock().faults.insert(operation, Fault { after, times });
    }

    /// Ends all faults, and gives space without end.
    pub fn heal(&self) {
        let mut disk = self.disk.lock();
        disk.faults.clear();
        disk.space = None;
    }

    /// Leaves space for so many bytes more; `None` is space without end.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.disk.lock().space = bytes;
    }

    /// Ends the process: its files fail from now on, and nothing that it wrote is lost.
    pub fn kill(&self) {
        self.disk.lock().age += 1;
    }

    /// Ends the process by a loss of power. `chance(n)` returns a number below `n`, which decides what of the unsynced changes is
    /// on disk.
    pub fn crash(&self, chance: &mut dyn FnMut(u64) -> u64) {
        let mut disk = self.disk.lock();
        disk.age += 1;
        disk.crash(chance);
    }

    /// Flips bits of a byte.
    ///
    /// # Panics
    ///
    /// The file does not exist or is shorter.
    pub fn flip(&self, name: &str, offset: usize, bits: u8) {
        self.disk.lock().inode(name).bytes[offset] ^= bits;
    }

    /// Takes bytes out of a file; what stands behind moves up.
    ///
    /// # Panics
    ///
    /// The file does not exist or is shorter.
    pub fn take_out(&self, name: &str, offset: usize, bytes: usize) {
        let mut disk = self.disk.lock();
        let inode = disk.inode(name);
        inode.bytes.drain(offset..offset + bytes);
        inode.synced = inode.synced.min(inode.bytes.len());
    }

    /// Returns the content of a file, or `None` if it does not exist.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.names.get(name).map(|inode| disk.inodes[*inode].bytes.clone())
    }

    fn operate(&self, operation: DiskOperation) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk.lock();
        disk.check(self.age)?;
        disk.operate(operation)?;
        Ok(disk)
    }
}

impl Files for SimFiles {
    type File = SimFile;

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut disk = self.operate(DiskOperation::Name)?;
        disk.reserve(0)?;
        if disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.names.insert(name.into(), inode);
        disk.changes.push(NameChange::Set { name: name.into(), inode });
        Ok(SimFile { disk: self.disk.clone(), inode, age: disk.age })
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let disk = self.operate(DiskOperation::Read)?;
        let inode = *disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(SimFile { disk: self.disk.clone(), inode, age: disk.age })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.operate(DiskOperation::Name)?;
        let inode = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.into(), inode);
        disk.changes.push(NameChange::Rename { from: from.into(), to: to.into(), inode });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.operate(DiskOperation::Name)?;
        disk.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        disk.changes.push(NameChange::Remove { name: name.into() });
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let disk = self.operate(DiskOperation::Read)?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut disk = self.operate(DiskOperation::SyncDirectory)?;
        disk.synced_names = disk.names.clone();
        disk.changes.clear();
        disk.forget_removed();
        Ok(())
    }
}

/// Open file of [`SimFiles`].
#[derive(Debug)]
pub struct SimFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
    age: u64,
}

impl SimFile {
    fn operate<T>(
        &self,
        operation: Option<DiskOperation>,
        perform: impl FnOnce(&mut Disk, Result<(), io::Error>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut disk = self.disk.lock();
        disk.check(self.age)?;
        let allowed = operation.map_or(Ok(()), |operation| disk.operate(operation));
        perform(&mut disk, allowed)
    }
}

impl OpenFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.operate(Some(DiskOperation::Write), |disk, allowed| {
            // A write that fails leaves a part, as a real one does.
            let (whole, outcome) = match allowed {
                Ok(()) => disk
                    .reserve(bytes.len() as u64)
                    .map_or_else(|NoSpace(room, error)| (room, Err(error)), |()| (bytes.len(), Ok(()))),
                Err(error) => (bytes.len() / 2, Err(error)),
            };
            disk.inodes[self.inode].bytes.extend_from_slice(&bytes[..whole]);
            outcome
        })
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.operate(Some(DiskOperation::Read), |disk, allowed| {
            allowed?;
            let bytes = &disk.inodes[self.inode].bytes;
            let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
            let length = into.len().min(bytes.len() - start);
            into[..length].copy_from_slice(&bytes[start..start + length]);
            Ok(length)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.operate(Some(DiskOperation::Sync), |disk, allowed| {
            let inode = &mut disk.inodes[self.inode];
            match allowed {
                Ok(()) if !inode.poisoned => {
                    inode.synced = inode.bytes.len();
                    inode.before_truncation = None;
                    Ok(())
                }
                Ok(()) => Ok(()),
                Err(error) => {
                    inode.poisoned = true;
                    Err(error)
                }
            }
        })
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.operate(Some(DiskOperation::Write), |disk, allowed| {
            allowed?;
            let inode = &mut disk.inodes[self.inode];
            inode.before_truncation.get_or_insert_with(|| inode.bytes.clone());
            inode.bytes.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
            inode.synced = inode.synced.min(inode.bytes.len());
            Ok(())
        })
    }

    fn length(&self) -> io::Result<u64> {
        self.operate(None, |disk, _| Ok(disk.inodes[self.inode].bytes.len() as u64))
    }
}

impl Disk {
    fn check(&self, age: u64) -> io::Result<()> {
        match age == self.age {
            true => Ok(()),
            false => Err(io::Error::other("the process of this file is gone")),
        }
    }

    /// Counts an operation, and fails it if it is due.
    fn operate(&mut self, operation: DiskOperation) -> io::Result<()> {
        match self.faults.get_mut(&operation) {
            Some(fault) if fault.after > 0 => {
                fault.after -= 1;
                Ok(())
            }
            Some(fault) if fault.times > 0 => {
                fault.times -= 1;
                Err(io::Error::other("input/output error (simulated)"))
            }
            _ => Ok(()),
        }
    }

    /// Takes space, or returns how many bytes there were.
    fn reserve(&mut self, bytes: u64) -> Result<(), NoSpace> {
        match &mut self.space {
            None => Ok(()),
            Some(space) if *space >= bytes && *space > 0 => {
                *space -= bytes;
                Ok(())
            }
            Some(space) => Err(NoSpace(std::mem::take(space) as usize, io::ErrorKind::StorageFull.into())),
        }
    }

    fn inode(&mut self, name: &str) -> &mut Inode {
        let inode = *self.names.get(name).unwrap_or_else(|| panic!("no file {name}"));
        &mut self.inodes[inode]
    }

    fn crash(&mut self, chance: &mut dyn FnMut(u64) -> u64) {
        let mut names = self.synced_names.clone();
        for change in std::mem::take(&mut self.changes) {
            if chance(2) == 0 {
                continue;
            }
            match change {
                NameChange::Set { name, inode } => {
                    names.insert(name, inode);
                }
                NameChange::Rename { from, to, inode } => {
                    names.remove(&from);
                    names.insert(to, inode);
                }
                NameChange::Remove { name } => {
                    names.remove(&name);
                }
            }
        }
        self.names = names.clone();
        self.synced_names = names;
        for inode in &mut self.inodes {
            inode.crash(chance);
        }
        self.forget_removed();
    }

    /// Frees the memory of files that no name leads to. Their handles see an empty file.
    fn forget_removed(&mut self) {
        let used: std::collections::BTreeSet<_> = self.names.values().collect();
        for (number, inode) in self.inodes.iter_mut().enumerate() {
            if !used.contains(&number) {
                *inode = Inode::default();
            }
        }
    }
}

impl Inode {
    fn crash(&mut self, chance: &mut dyn FnMut(u64) -> u64) {
        if let Some(before) = self.before_truncation.take()
            && chance(2) == 0
        {
            self.bytes = before;
            self.synced = self.bytes.len();
        }
        let unsynced = self.bytes.len() - self.synced;
        let kept = match (unsynced, self.poisoned) {
            (0, _) | (_, true) => 0,
            (unsynced, false) => chance(unsynced as u64 + 1) as usize,
        };
        self.bytes.truncate(self.synced + kept);
        // The length may be on disk before the bytes: a sector of zeros in the middle.
        if kept > 0 && chance(4) == 0 {
            let start = self.synced + chance(kept as u64) as usize;
            let end = (start + SECTOR_BYTES).min(self.bytes.len());
            self.bytes[start..end].fill(0);
        }
        self.synced = self.bytes.len();
        self.poisoned = false;
    }
}

/// Bytes that there was space for, and the error.
#[derive(Debug)]
struct NoSpace(usize, io::Error);

impl From<NoSpace> for io::Error {
    fn from(NoSpace(_, error): NoSpace) -> Self {
        error
    }
}

const SECTOR_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    /// Loses everything that may be lost.
    fn lose(files: &SimFiles) -> SimFiles {
        files.crash(&mut |_| 0);
        files.reopen()
    }

    /// Keeps everything that may be kept.
    fn keep(files: &SimFiles) -> SimFiles {
        files.crash(&mut |bound| bound - 1);
        files.reopen()
    }

    fn file(files: &SimFiles, name: &str, bytes: &[u8]) -> SimFile {
        let file = files.create(name).unwrap();
        file.append(bytes).unwrap();
        file
    }

    #[test]
    fn loss_of_power_takes_unsynced_bytes_and_names() {
        let files = SimFiles::new();
        let synced = file(&files, "a", b"synced");
        synced.sync().unwrap();
        files.sync_directory().unwrap();
        synced.append(b" not").unwrap();
        file(&files, "b", b"new");
        assert_eq!(keep(&files).content("a").unwrap(), b"synced not");
        assert!(files.content("b").is_some());

        let files = SimFiles::new();
        let synced = file(&files, "a", b"synced");
        synced.sync().unwrap();
        files.sync_directory().unwrap();
        synced.append(b" not").unwrap();
        file(&files, "b", b"new").sync().unwrap();
        files.rename("a", "c").unwrap();
        let after = lose(&files);
        assert_eq!(after.names().unwrap(), ["a"], "neither the new name nor the other one");
        assert_eq!(after.content("a").unwrap(), b"synced");
    }

    #[test]
    fn loss_of_power_may_keep_a_part_and_a_sector_of_zeros_in_it() {
        let files = SimFiles::new();
        let synced = file(&files, "a", &[1; 600]);
        synced.sync().unwrap();
        files.sync_directory().unwrap();
        synced.append(&[2; 2000]).unwrap();
        // 1,500 bytes are kept; a sector is lost; it begins 100 bytes behind what was synced.
        let mut answers = [1500, 0, 100].into_iter();
        files.crash(&mut |_| answers.next().unwrap());
        let content = files.content("a").unwrap();
        assert_eq!(content.len(), 2100);
        assert!(content[..600].iter().all(|byte| *byte == 1));
        assert!(content[600..700].iter().chain(&content[1212..]).all(|byte| *byte == 2));
        assert!(content[700..1212].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn names_outlast_a_loss_of_power_after_a_sync_of_the_directory() {
        let files = SimFiles::new();
        file(&files, "a", b"a").sync().unwrap();
        file(&files, "b", b"b").sync().unwrap();
        files.rename("a", "c").unwrap();
        files.remove("b").unwrap();
        files.sync_directory().unwrap();
        assert_eq!(lose(&files).names().unwrap(), ["c"]);
    }

    #[test]
    fn changes_of_names_may_be_kept_without_a_sync() {
        let files = SimFiles::new();
        file(&files, "a", b"a").sync().unwrap();
        file(&files, "b", b"b").sync().unwrap();
        files.sync_directory().unwrap();
        files.rename("a", "c").unwrap();
        files.remove("b").unwrap();
        assert_eq!(keep(&files).names().unwrap(), ["c"]);
    }

    #[test]
    fn bytes_of_a_failed_sync_are_gone_whatever_later_syncs_say() {
        let files = SimFiles::new();
        let file = file(&files, "a", b"first");
        files.sync_directory().unwrap();
        files.fail(DiskOperation::Sync, 0, 1);
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!(files.content("a").unwrap(), b"first", "they can be read");
        assert_eq!(keep(&files).content("a").unwrap(), b"");
    }

    #[test]
    fn truncation_may_be_undone_until_it_is_synced() {
        for (synced, content) in [(false, &b"whole"[..]), (true, b"who")] {
            let files = SimFiles::new();
            let file = file(&files, "a", b"whole");
            file.sync().unwrap();
            files.sync_directory().unwrap();
            file.truncate(3).unwrap();
            if synced {
                file.sync().unwrap();
            }
            assert_eq!(lose(&files).content("a").unwrap(), content);
        }
    }

    #[test]
    fn full_disk_takes_what_there_is_space_for() {
        let files = SimFiles::new();
        let file = file(&files, "a", b"");
        files.set_space(Some(3));
        let error = file.append(b"12345").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(files.content("a").unwrap(), b"123");
        assert!(files.create("b").is_err());
        files.heal();
        file.append(b"45").unwrap();
        files.set_space(Some(3));
        file.append(b"67").unwrap();
        assert!(file.append(b"89").is_err());
        assert_eq!(files.content("a").unwrap(), b"12345678");
    }

    #[test]
    fn failed_write_leaves_half() {
        let files = SimFiles::new();
        let file = file(&files, "a", b"");
        files.fail(DiskOperation::Write, 0, 1);
        assert!(file.append(b"12345678").is_err());
        assert_eq!(files.content("a").unwrap(), b"1234");
    }

    #[test]
    fn loss_of_power_asks_only_for_chances_that_there_are_and_ends_what_was_open() {
        let files = SimFiles::new();
        let file = file(&files, "a", b"synced");
        file.sync().unwrap();
        files.sync_directory().unwrap();
        file.append(b"not").unwrap();
        let mut bounds = Vec::new();
        files.crash(&mut |bound| {
            bounds.push(bound);
            0
        });
        assert_eq!(bounds, [4], "none, one, two or three bytes are kept");
        assert!(file.append(b"more").is_err());
    }

    #[test]
    fn faults_come_after_successes_and_end() {
        let files = SimFiles::new();
        files.fail(DiskOperation::Name, 1, 2);
        let outcomes = ["a", "b", "c", "d"].map(|name| files.create(name).is_ok());
        assert_eq!(outcomes, [true, false, false, true]);
    }

    #[test]
    fn end_of_a_process_loses_nothing_and_ends_what_it_had_open() {
        let files = SimFiles::new();
        let file = file(&files, "a", b"written");
        files.kill();
        assert!(file.append(b"more").is_err() && file.sync().is_err() && files.names().is_err());
        let next = files.reopen();
        assert_eq!(next.names().unwrap(), ["a"]);
        let mut bytes = [0; 9];
        assert_eq!(next.open("a").unwrap().read_at(3, &mut bytes).unwrap(), 4);
    }
}
