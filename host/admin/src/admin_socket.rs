//! Admin socket of a node: where it is, who may use it, its file.
//!
//! Owns the file as long as the node serves. The kernel keeps out users who may not enter the directory; [`SocketAccess`] is the second
//! check, of the ids that the kernel reports of a peer. Bounds: one socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use herd_sys::{SocketDirectory, SocketPeer, SocketUsers, accounts};
use rustix::io::Errno;
use tokio::net::UnixListener;

use super::socket_places::{SocketPlaces, socket_name};

/// Listening admin socket of one node. Dropped, its file is removed.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    file: SocketFile,
    access: SocketAccess,
}

/// The admin socket cannot be made. The node does not start; nothing is left behind but perhaps an empty directory.
#[derive(Debug, thiserror::Error)]
pub enum AdminSocketError {
    /// The configured group does not exist. The operator has to create it or to configure another.
    #[error(
        "`admin.group` is \"{0}\", and this machine has no group of that name; create it with groupadd {0}, or write its number"
    )]
    NoGroup(String),
    /// The node is not in the configured group, so it cannot give it the socket.
    #[error(
        "cannot give {path} to the group of `admin.group`; add the user of the node to it with usermod -aG, or start the node as root"
    )]
    NotInGroup {
        /// Directory or socket.
        path: PathBuf,
    },
    /// A process listens on the socket, although the records of the node are not in use.
    #[error("{0} is in use by another process, or is no socket; stop that process, or remove the file")]
    InUse(PathBuf),
    /// The socket was made by another program, and no command would find it.
    #[error(
        "the admin socket that was passed to this process is not where commands look for it; pass {0}, or none, and the node makes its own"
    )]
    Elsewhere(PathBuf),
    /// No place for the socket can be used. Has the last one that was tried.
    #[error("{path} cannot be used")]
    Io {
        /// Directory or socket.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl AdminSocket {
    /// Binds the socket of a node of the herd with this state directory, and listens. `group` may use it too.
    ///
    /// The caller holds the lock on the records of the node, so that no other process binds the same socket meanwhile.
    ///
    /// # Errors
    ///
    /// See [`AdminSocketError`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn bind(state: &Path, node: &str, group: Option<&str>) -> Result<Self, AdminSocketError> {
        Self::bind_at(&SocketPlaces::of(state), node, group)
    }

    pub(super) fn bind_at(places: &SocketPlaces, node: &str, group: Option<&str>) -> Result<Self, AdminSocketError> {
        let group = group.map(group_id).transpose()?;
        Self::bind_in_places(places, node, group.map_or(SocketUsers::Owner, SocketUsers::Group))
    }

    fn bind_in_places(places: &SocketPlaces, node: &str, users: SocketUsers) -> Result<Self, AdminSocketError> {
        let name = socket_name(node);
        let places = places.for_node(users != SocketUsers::Owner);
        let (last, others) = places.split_last().expect("the state directory is one of them");
        for place in others {
            match Self::bind_in(place, &name, users) {
                Err(AdminSocketError::Io { path, source }) => {
                    tracing::info!(%node, path = %path.display(), error = %source, "no admin socket here, taking another place");
                }
                bound => return bound,
            }
        }
        let socket = Self::bind_in(last, &name, users)?;
        if let (SocketUsers::Group(_), Some(state)) = (users, last.parent()) {
            let_pass(state).map_err(|source| AdminSocketError::Io { path: state.into(), source })?;
        }
        Ok(socket)
    }

    fn bind_in(place: &Path, name: &str, users: SocketUsers) -> Result<Self, AdminSocketError> {
        let path = place.join(name);
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => AdminSocketError::InUse(path.clone()),
            // The one system call that needs a privilege for a directory and a socket of one's own is to give them to a group.
            _ if users != SocketUsers::Owner && Errno::from_io_error(&source) == Some(Errno::PERM) => {
                AdminSocketError::NotInGroup { path: path.clone() }
            }
            _ => AdminSocketError::Io { path: path.clone(), source },
        };
        let directory = SocketDirectory::create(place, users).map_err(io)?;
        let listener = directory.bind(name, users).map_err(io)?;
        let identity = directory.owner_of(name).map_err(io)?.file;
        let file = SocketFile::new(directory, name, identity, true);
        let group = if let SocketUsers::Group(group) = users { Some(group) } else { None };
        Self::with(listener, file, group).map_err(io)
    }

    fn with(listener: std::os::unix::net::UnixListener, file: SocketFile, group: Option<u32>) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let owner = rustix::process::geteuid().as_raw();
        Ok(Self { listener, file, access: SocketAccess { owner, group } })
    }

    /// Takes a socket with which this process was started. One of an earlier version of this program that is no longer where the
    /// configuration puts it is replaced. The caller holds the lock on the records, as for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`AdminSocketError`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn adopt(
        listener: std::os::unix::net::UnixListener,
        state: &Path,
        node: &str,
        group: Option<&str>,
    ) -> Result<Self, AdminSocketError> {
        let (places, name) = (SocketPlaces::of(state), socket_name(node));
        let is_own = is_own(&listener);
        let group = group.map(group_id).transpose()?;
        let users = group.map_or(SocketUsers::Owner, SocketUsers::Group);
        for place in places.for_node(group.is_some()) {
            let path = place.join(&name);
            let io = |source| AdminSocketError::Io { path: path.clone(), source };
            // What another program has made keeps its modes.
            let opened = if is_own { SocketDirectory::create(place, users) } else { SocketDirectory::open(place) };
            let Some(directory) = opened.ok().filter(|directory| directory.is_listening_here(&name)) else { continue };
            if is_own {
                directory.admit(&name, users).map_err(io)?;
            }
            let identity = directory.owner_of(&name).map_err(io)?.file;
            let file = SocketFile::new(directory, &name, identity, is_own);
            return Self::with(listener, file, group).map_err(io);
        }
        if is_own {
            drop(listener);
            return Self::bind_in_places(&places, node, users);
        }
        let usual = places.for_node(group.is_some())[0].join(name);
        Err(AdminSocketError::Elsewhere(usual))
    }

    /// Path of the socket.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.file.made.directory.path_of(&self.file.made.name)
    }

    /// Returns a handle with which the socket can be passed on while it is served.
    ///
    /// # Errors
    ///
    /// The process is out of file descriptors.
    pub fn handle(&self) -> io::Result<AdminSocketHandle> {
        let listener = self.listener.as_fd().try_clone_to_owned()?;
        Ok(AdminSocketHandle { listener, made: Arc::clone(&self.file.made) })
    }

    /// Takes the socket apart. The file is removed with the second part.
    pub(super) fn into_parts(self) -> (UnixListener, SocketFile, SocketAccess) {
        (self.listener, self.file, self.access)
    }
}

/// Second handle of a listening admin socket. Dropped, it changes nothing.
#[derive(Debug)]
pub struct AdminSocketHandle {
    listener: OwnedFd,
    made: Arc<MadeFile>,
}

impl AdminSocketHandle {
    /// Keeps the file of the socket when the server ends, and returns the socket, for [`AdminSocket::adopt`] in another program.
    #[must_use]
    pub fn pass_on(self) -> PassedAdminSocket {
        let removes = self.made.is_removed.swap(false, Ordering::Relaxed);
        PassedAdminSocket { listener: self.listener, file: removes.then_some(self.made) }
    }
}

/// Admin socket for another program, with its file. Dropped, the file stays.
#[derive(Debug)]
pub struct PassedAdminSocket {
    listener: OwnedFd,
    /// `None` if the file belongs to another program.
    file: Option<Arc<MadeFile>>,
}

impl PassedAdminSocket {
    /// Returns the socket.
    #[must_use]
    pub fn into_listener(self) -> OwnedFd {
        self.listener
    }

    /// Closes the socket and removes its file: there will be no other program.
    pub fn close(self) {
        if let Some(file) = self.file {
            file.remove();
        }
    }
}

/// File of a socket, removed on drop unless the socket was passed on.
#[derive(Debug)]
pub(super) struct SocketFile {
    made: Arc<MadeFile>,
}

#[derive(Debug)]
struct MadeFile {
    directory: SocketDirectory,
    name: String,
    /// Of the file that this process made.
    identity: (u64, u64),
    /// Neither passed on, nor the file of another program.
    is_removed: AtomicBool,
}

impl SocketFile {
    fn new(directory: SocketDirectory, name: &str, identity: (u64, u64), is_own: bool) -> Self {
        Self { made: Arc::new(MadeFile { directory, name: name.into(), identity, is_removed: is_own.into() }) }
    }
}

impl MadeFile {
    fn remove(&self) {
        // A process that started after this one has given up the records has a socket of its own here.
        if self.directory.owner_of(&self.name).is_ok_and(|owner| owner.file == self.identity) {
            let _ = self.directory.remove(&self.name);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.made.is_removed.load(Ordering::Relaxed) {
            self.made.remove();
        }
    }
}

/// Users who may use an admin socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketAccess {
    /// User of the node.
    pub(super) owner: u32,
    /// Group of the configuration.
    pub(super) group: Option<u32>,
}

impl SocketAccess {
    /// Returns whether a peer may administer the node: its own user, root, and members of the group.
    pub(super) fn admits(self, peer: &SocketPeer) -> bool {
        self.is_node_user(peer) || self.group.is_some_and(|group| peer.is_in_group(group))
    }

    /// Returns whether a peer is the user of the node or root, who could start any program as that user anyway.
    pub(super) fn is_node_user(self, peer: &SocketPeer) -> bool {
        peer.uid == self.owner || peer.uid == ROOT
    }
}

/// Lets the members of the group pass the state directory, on their way to the directory of sockets in it. Somebody may have made it for
/// its owner alone; what is in it has modes of its own.
fn let_pass(state: &Path) -> io::Result<()> {
    let mut permissions = state.metadata()?.permissions();
    if permissions.mode() & PASS == PASS {
        return Ok(());
    }
    permissions.set_mode(permissions.mode() | PASS);
    std::fs::set_permissions(state, permissions)
}

/// Returns whether this program has bound a socket: it does so through a path that no other program uses.
fn is_own(listener: &std::os::unix::net::UnixListener) -> bool {
    let address = listener.local_addr().ok();
    address.as_ref().and_then(|address| address.as_pathname()).is_some_and(|path| path.starts_with("/proc/self/fd"))
}

fn group_id(group: &str) -> Result<u32, AdminSocketError> {
    let id = accounts::group_id(group);
    id.map_err(|source| AdminSocketError::Io { path: "/etc/group".into(), source })?
        .ok_or_else(|| AdminSocketError::NoGroup(group.into()))
}

/// Right of other users to pass a directory, without that to list it.
const PASS: u32 = 0o001;
/// User id of root.
pub(super) const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_admits_the_user_of_the_node_root_and_the_group_and_nobody_else() {
        let peer = |uid, gid, groups: &[u32]| SocketPeer { uid, gid, groups: groups.into() };
        let alone = SocketAccess { owner: 990, group: None };
        let shared = SocketAccess { owner: 990, group: Some(80) };
        for (who, alone_admits, shared_admits) in [
            (peer(990, 990, &[]), true, true),
            (peer(0, 0, &[]), true, true),
            (peer(1000, 1000, &[80]), false, true),
            (peer(1000, 80, &[]), false, true),
            (peer(1000, 990, &[990, 0]), false, false),
            (peer(80, 1000, &[]), false, false),
            (peer(65_534, 65_534, &[]), false, false),
        ] {
            assert_eq!((alone.admits(&who), shared.admits(&who)), (alone_admits, shared_admits), "{who:?}");
        }
    }

    #[tokio::test]
    async fn socket_takes_the_next_place_when_one_cannot_be_used_and_leaves_no_file() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("herd");
        let places = SocketPlaces::of(&state);
        let socket = AdminSocket::bind_at(&places, "Riley", None).unwrap();
        assert!(socket.path().exists());
        let second = AdminSocket::bind_at(&places, "Riley", None).unwrap_err();
        assert!(matches!(&second, AdminSocketError::InUse(path) if *path == socket.path()), "{second}");
        let other = AdminSocket::bind_at(&places, "Jaquez", None).unwrap();
        let path = socket.path();
        drop(socket);
        assert!(!path.exists() && other.path().exists());
    }

    #[tokio::test]
    async fn socket_that_is_passed_on_is_the_same_and_goes_with_its_last_server() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("herd");
        let (old, handle) = {
            let socket = AdminSocket::bind(&state, "Riley", None).unwrap();
            (socket.path(), socket.handle().unwrap())
        };
        assert!(!old.exists(), "dropped without being passed on");
        drop(handle);
        let socket = AdminSocket::bind(&state, "Riley", None).unwrap();
        let (path, passed) = (socket.path(), socket.handle().unwrap().pass_on().into_listener());
        drop(socket);
        // Waits in the queue while nobody serves.
        let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let adopted = AdminSocket::adopt(passed.into(), &state, "Riley", None).unwrap();
        assert_eq!(adopted.path(), path);
        adopted.into_parts().0.accept().await.unwrap();
        assert!(!path.exists(), "nobody serves it any more");
    }

    #[tokio::test]
    async fn socket_that_no_other_program_takes_leaves_no_file() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("herd");
        let socket = AdminSocket::bind(&state, "Riley", None).unwrap();
        let (path, passed) = (socket.path(), socket.handle().unwrap().pass_on());
        drop(socket);
        assert!(path.exists(), "for the other program");
        passed.close();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn socket_of_another_program_is_left_to_it_and_must_be_where_commands_look() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("herd");
        let usual = AdminSocket::bind(&state, "Riley", None).unwrap().path();
        let elsewhere = std::os::unix::net::UnixListener::bind(base.path().join("other.sock")).unwrap();
        let error = AdminSocket::adopt(elsewhere, &state, "Riley", None).unwrap_err();
        assert!(error.to_string().contains(&usual.display().to_string()), "{error}");
        let passed = std::os::unix::net::UnixListener::bind(&usual).unwrap();
        let adopted = AdminSocket::adopt(passed, &state, "Riley", None).unwrap();
        let handle = adopted.handle().unwrap();
        drop(adopted);
        handle.pass_on().close();
        assert!(usual.exists());
    }

    #[tokio::test]
    async fn socket_that_another_process_has_replaced_is_not_removed() {
        let base = tempfile::tempdir().unwrap();
        let places = SocketPlaces::of(&base.path().join("herd"));
        let old = AdminSocket::bind_at(&places, "Riley", None).unwrap();
        std::fs::remove_file(old.path()).unwrap();
        let new = AdminSocket::bind_at(&places, "Riley", None).unwrap();
        drop(old);
        assert!(new.path().exists());
    }

    /// Goal: members of the group reach the socket, whoever made the state directory. Method: one for its owner alone; the group of this
    /// process, to which it may give a socket.
    #[tokio::test]
    async fn socket_for_a_group_lets_its_members_pass_the_state_directory() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("herd");
        let mode = || state.metadata().unwrap().permissions().mode() & 0o777;
        std::fs::create_dir(&state).unwrap();
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
        let places = SocketPlaces::of(&state);
        drop(AdminSocket::bind_in_places(&places, "Jaquez", SocketUsers::Owner).unwrap());
        assert_eq!(mode(), 0o700);
        let group = SocketUsers::Group(rustix::process::getegid().as_raw());
        let socket = AdminSocket::bind_in_places(&places, "Riley", group).unwrap();
        // With a directory of the service in the environment, the socket is there.
        if socket.path().starts_with(&state) {
            assert_eq!(mode(), 0o701);
        }
    }

    #[tokio::test]
    async fn socket_for_a_group_that_does_not_exist_says_what_to_do() {
        let base = tempfile::tempdir().unwrap();
        let error = AdminSocket::bind(&base.path().join("herd"), "Riley", Some("no-such-group")).unwrap_err();
        assert!(error.to_string().contains("groupadd no-such-group"), "{error}");
    }
}
