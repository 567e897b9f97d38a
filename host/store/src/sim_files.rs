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
