//! A directory of Unix sockets, held open: binding, connecting and checking in it.
//!
//! The address of a Unix socket holds 108 bytes, and a path may be longer. So the directory is opened, and its sockets are reached
//! through `/proc/self/fd`, which also keeps everything that is done here in one directory, whatever its name leads to meanwhile.
//!
//! Owns the modes of the directory and of sockets, and the replacement of a socket whose process has ended. Who may own a directory is
//! for the caller to decide. Bound: the name of a socket, some 90 bytes.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, chmodat, chownat, fchmod, fchown, fstat, open, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::private_directory::create_private_directory;

/// Directory of Unix sockets.
///
/// ```
/// use herd_sys::{SocketDirectory, SocketUsers};
///
/// let scratch = tempfile::tempdir()?;
/// let directory = SocketDirectory::create(&scratch.path().join("long".repeat(40)), SocketUsers::Owner)?;
/// let listener = directory.bind("Riley.sock", SocketUsers::Owner)?;
/// std::os::unix::net::UnixStream::connect(directory.address("Riley.sock"))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct SocketDirectory {
    handle: OwnedFd,
    path: PathBuf,
}

/// Users who can reach the sockets of a directory, besides root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketUsers {
    /// The user of this process: the directory has mode 0700, a socket 0600.
    Owner,
    /// Also the members of this group: modes 0750 and 0660.
    Group(u32),
}

/// Owner and kind of a directory or of a file in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileOwner {
    /// User id of the owner.
    pub uid: u32,
    /// True if others than the owner can write to it.
    pub others_write: bool,
    /// Device and number of the file, which tell it from another of the same name.
    pub file: (u64, u64),
}

impl SocketDirectory {
    /// Creates a directory, or takes one of this user, and sets its mode.
    ///
    /// # Errors
    ///
    /// The directory cannot be created, belongs to another user, or this user is not in the group.
    pub fn create(path: &Path, users: SocketUsers) -> io::Result<Self> {
        create_private_directory(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = Self { handle: open(path, flags, Mode::empty())?, path: path.into() };
        if directory.owner()?.uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
        }
        if let SocketUsers::Group(group) = users {
            fchown(&directory.handle, None, Some(Gid::from_raw(group)))?;
        }
        fchmod(&directory.handle, users.mode(0o700, 0o750))?;
        Ok(directory)
    }

    /// Opens a directory to connect to its sockets.
    ///
    /// # Errors
    ///
    /// The directory does not exist, or this user may not enter it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self { handle: open(path, flags, Mode::empty())?, path: path.into() })
    }

    /// Path of a file in the directory, for people.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Path that leads to a socket of the directory and fits into the address of a socket. Valid in this process, as long as the
    /// directory is held.
    #[must_use]
    pub fn address(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_raw_fd())).join(name)
    }

    /// Returns the owner of the directory.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub fn owner(&self) -> io::Result<FileOwner> {
        Ok(FileOwner::of(&fstat(&self.handle)?))
    }

    /// Returns the owner of a file in the directory. Symbolic links are not followed.
    ///
    /// # Errors
    ///
    /// The file does not exist, or this user may not enter the directory.
    pub fn owner_of(&self, name: &str) -> io::Result<FileOwner> {
        Ok(FileOwner::of(&statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Binds a socket and listens on it. A socket whose process has ended is replaced.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AddrInUse`] if a process listens on the socket, or if a file of that name is not a socket. Others: the
    /// directory cannot be written, or this user is not in the group.
    pub fn bind(&self, name: &str, users: SocketUsers) -> io::Result<UnixListener> {
        let address = self.address(name);
        let listener = match UnixListener::bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                // The kernel refuses a connection to any other file, too.
                if !self.has_socket(name)? {
                    return Err(error);
                }
                match self.connect_at_once(name) {
                    // Of a process that has ended. The caller sees to it that no other one binds this name at the same time.
                    Err(Errno::CONNREFUSED) => self.remove(name)?,
                    _ => return Err(error),
                }
                UnixListener::bind(&address)?
            }
            bound => bound?,
        };
        // Until here only the owner could connect, and members of the group if the umask lets them write: the directory admits nobody else.
        self.admit(name, users)?;
        Ok(listener)
    }

    /// Sets the group and the mode of a socket.
    ///
    /// # Errors
    ///
    /// It does not exist, or this user is not in the group.
    pub fn admit(&self, name: &str, users: SocketUsers) -> io::Result<()> {
        if let SocketUsers::Group(group) = users {
            chownat(&self.handle, name, None, Some(Gid::from_raw(group)), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(chmodat(&self.handle, name, users.mode(0o600, 0o660), AtFlags::empty())?)
    }

    /// Connects without blocking, which a socket with a full queue would do: the process that listens there may be stopped, or be this one.
    fn connect_at_once(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(self.address(name).as_os_str().as_bytes())?)?;
        Ok(socket)
    }

    /// Returns whether this process listens on a socket of the directory. One connection, which ends at once, is left to accept.
    #[must_use]
    pub fn is_listening_here(&self, name: &str) -> bool {
        match self.connect_at_once(name).and_then(|socket| socket_peercred(&socket)) {
            Ok(peer) => peer.pid == rustix::process::getpid(),
            // The queue is full, so some process listens; the lock on the records says that it is this one.
            Err(error) => error == Errno::AGAIN,
        }
    }

    /// Removes a file of the directory.
    ///
    /// # Errors
    ///
    /// The file does not exist, or the directory cannot be written.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    fn has_socket(&self, name: &str) -> io::Result<bool> {
        let stat = statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
    }
}

impl SocketUsers {
    fn mode(self, owner: u32, group: u32) -> Mode {
        Mode::from_raw_mode(match self {
            Self::Owner => owner,
            Self::Group(_) => group,
        })
    }
}

impl FileOwner {
    fn of(stat: &rustix::fs::Stat) -> Self {
        Self { uid: stat.st_uid, others_write: stat.st_mode & 0o022 != 0, file: (stat.st_dev, stat.st_ino) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn socket_in_a_directory_of_any_length_is_for_its_owner_only() {
        let scratch = tempfile::tempdir().unwrap();
        let path =
            (0..20).fold(scratch.path().to_path_buf(), |path, _| path.join("directory with a long name".repeat(5)));
        let directory = SocketDirectory::create(&path, SocketUsers::Owner).unwrap();
        let listener = directory.bind("Riley.sock", SocketUsers::Owner).unwrap();
        assert_eq!((mode(&path), mode(&directory.path_of("Riley.sock"))), (0o700, 0o600));
        let opened = SocketDirectory::open(&path).unwrap();
        let _client = UnixStream::connect(opened.address("Riley.sock")).unwrap();
        listener.accept().unwrap();
        assert_eq!(opened.owner_of("Riley.sock").unwrap().uid, rustix::process::geteuid().as_raw());
    }

    #[test]
    fn socket_for_a_group_is_for_no_others() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("admin");
        // A directory that an earlier process made for its owner only.
        SocketDirectory::create(&path, SocketUsers::Owner).unwrap();
        let group = SocketUsers::Group(rustix::process::getegid().as_raw());
        let directory = SocketDirectory::create(&path, group).unwrap();
        let _listener = directory.bind("Riley.sock", group).unwrap();
        assert_eq!((mode(&path), mode(&directory.path_of("Riley.sock"))), (0o750, 0o660));
        // And back: the group loses its access.
        SocketDirectory::create(&path, SocketUsers::Owner).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn socket_of_a_process_that_ended_is_replaced_and_one_in_use_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = SocketDirectory::create(&scratch.path().join("admin"), SocketUsers::Owner).unwrap();
        drop(directory.bind("Riley.sock", SocketUsers::Owner).unwrap());
        assert!(UnixStream::connect(directory.address("Riley.sock")).is_err(), "its file is left");
        let before = directory.owner_of("Riley.sock").unwrap().file;
        let _listener = directory.bind("Riley.sock", SocketUsers::Owner).unwrap();
        let listening = directory.owner_of("Riley.sock").unwrap().file;
        let second = directory.bind("Riley.sock", SocketUsers::Owner).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(directory.address("Riley.sock")).unwrap();
        assert_eq!(directory.owner_of("Riley.sock").unwrap().file, listening, "was {before:?} before");
    }

    #[test]
    fn file_that_is_no_socket_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = SocketDirectory::create(scratch.path(), SocketUsers::Owner).unwrap();
        std::fs::write(directory.path_of("Riley.sock"), "notes").unwrap();
        directory.bind("Riley.sock", SocketUsers::Owner).unwrap_err();
        assert_eq!(std::fs::read(directory.path_of("Riley.sock")).unwrap(), b"notes");
    }
}
