//! Identity of the process at the other end of a Unix socket, as the kernel reports it.
//!
//! Bound: [`GROUPS_MAX`] groups, the kernel's own limit.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::net::sockopt::socket_peercred;

/// User and groups of a peer, as they were when it connected, or when it began to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPeer {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Ids of the other groups.
    pub groups: Vec<u32>,
}

impl SocketPeer {
    /// Reads the identity of the peer of a connected Unix socket.
    ///
    /// # Errors
    ///
    /// The socket is no connected Unix socket.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let socket = socket.as_fd();
        let ids = socket_peercred(socket)?;
        Ok(Self { uid: ids.uid.as_raw(), gid: ids.gid.as_raw(), groups: groups(socket)? })
    }

    /// Returns whether the peer is a member of a group.
    #[must_use]
    pub fn is_in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// Reads the supplementary groups of the peer. The credentials of the socket lack them, and those of its process may be those of another
/// process by now.
fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; GROUPS_USUAL];
    loop {
        let mut bytes = libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or_default();
        #[allow(unsafe_code, reason = "neither the standard library nor rustix has this option")]
        // SAFETY: the buffer has `bytes` bytes, and the kernel writes no more than that, in whole ids; any bits are a valid id.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = bytes as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // Too short: the kernel has said how many there are.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > GROUPS_MAX {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

/// More groups than most users have.
const GROUPS_USUAL: usize = 32;
/// `NGROUPS_MAX` of Linux.
const GROUPS_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn socket_peer_has_the_ids_of_its_process() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = SocketPeer::of(&ours).unwrap();
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert!(peer.is_in_group(rustix::process::getegid().as_raw()));
        let mut own: Vec<u32> = rustix::process::getgroups().unwrap().iter().map(|gid| gid.as_raw()).collect();
        let mut groups = peer.groups.clone();
        own.sort_unstable();
        groups.sort_unstable();
        assert_eq!(groups, own);
        assert!(!peer.is_in_group(4_000_000_000));
    }
}
