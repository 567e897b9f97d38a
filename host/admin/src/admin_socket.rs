//! Admin socket of a node: where it is, who may use it, its file.
//!
//! Owns the file as long as the node serves. The kernel keeps out users who may not enter the directory; [`SocketAccess`] is the second
//! check, of the ids that the kernel reports of a peer. Bounds: one socket.

use std::io;
use std::path::{Path, PathBuf};

use herd_sys::{SocketDirectory, SocketPeer, SocketUsers, accounts};
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
        let users = group.map_or(SocketUsers::Owner, SocketUsers::Group);
        let name = socket_name(node);
        let places = places.for_node(group.is_some());
        let (last, others) = places.split_last().expect("the state directory is one of them");
        for place in others {
            match Self::bind_in(place, &name, users) {
                Err(AdminSocketError::Io { path, source }) => {
                    tracing::info!(%node, path = %path.display(), error = %source, "no admin socket here, taking another place");
                }
                bound => return bound,
            }
        }
        Self::bind_in(last, &name, users)
    }

    fn bind_in(place: &Path, name: &str, users: SocketUsers) -> Result<Self, AdminSocketError> {
        let path = place.join(name);
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => AdminSocketError::InUse(path.clone()),
            // The one system call that needs a privilege for a directory and a socket of one's own.
            io::ErrorKind::PermissionDenied if users != SocketUsers::Owner && source.raw_os_error() == Some(EPERM) => {
                AdminSocketError::NotInGroup { path: path.clone() }
            }
            _ => AdminSocketError::Io { path: path.clone(), source },
        };
        let directory = SocketDirectory::create(place, users).map_err(io)?;
        let listener = directory.bind(name, users).map_err(io)?;
        let identity = directory.owner_of(name).map_err(io)?.file;
        let file = SocketFile { directory, name: name.into(), identity };
        listener.set_nonblocking(true).map_err(io)?;
        let listener = UnixListener::from_std(listener).map_err(io)?;
        let owner = rustix::process::geteuid().as_raw();
        let group = if let SocketUsers::Group(group) = users { Some(group) } else { None };
        Ok(Self { listener, file, access: SocketAccess { owner, group } })
    }

    /// Path of the socket.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.file.directory.path_of(&self.file.name)
    }

    /// Takes the socket apart. The file is removed with the second part.
    pub(super) fn into_parts(self) -> (UnixListener, SocketFile, SocketAccess) {
        (self.listener, self.file, self.access)
    }
}

/// File of a socket, removed on drop.
#[derive(Debug)]
pub(super) struct SocketFile {
    directory: SocketDirectory,
    name: String,
    /// Of the file that this process made.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A process that started after this one has given up the records has a socket of its own here.
        if self.directory.owner_of(&self.name).is_ok_and(|owner| owner.file == self.identity) {
            let _ = self.directory.remove(&self.name);
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
        peer.uid == self.owner || peer.uid == ROOT || self.group.is_some_and(|group| peer.is_in_group(group))
    }
}

fn group_id(group: &str) -> Result<u32, AdminSocketError> {
    let id = accounts::group_id(group);
    id.map_err(|source| AdminSocketError::Io { path: "/etc/group".into(), source })?
        .ok_or_else(|| AdminSocketError::NoGroup(group.into()))
}

/// User id of root.
pub(super) const ROOT: u32 = 0;
/// "Operation not permitted".
const EPERM: i32 = 1;

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
    async fn socket_that_another_process_has_replaced_is_not_removed() {
        let base = tempfile::tempdir().unwrap();
        let places = SocketPlaces::of(&base.path().join("herd"));
        let old = AdminSocket::bind_at(&places, "Riley", None).unwrap();
        std::fs::remove_file(old.path()).unwrap();
        let new = AdminSocket::bind_at(&places, "Riley", None).unwrap();
        drop(old);
        assert!(new.path().exists());
    }

    #[tokio::test]
    async fn socket_for_a_group_that_does_not_exist_says_what_to_do() {
        let base = tempfile::tempdir().unwrap();
        let error = AdminSocket::bind(&base.path().join("herd"), "Riley", Some("no-such-group")).unwrap_err();
        assert!(error.to_string().contains("groupadd no-such-group"), "{error}");
    }
}
