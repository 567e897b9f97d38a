//! Listening sockets that the process was started with: by systemd, or by an earlier version of this program.
//!
//! They come as open descriptors from 3 on, in the convention of systemd: `LISTEN_FDS` counts them, `LISTEN_PID` says whose they are,
//! `LISTEN_FDNAMES` names them. A node takes its sockets by name, or by the address that is configured. Knows nothing of what they are
//! for. Bound: the sockets that were passed.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::{Mutex, PoisonError};

use listenfd::ListenFd;
use rustix::net::{listen, sockopt::socket_acceptconn};

use crate::file_name;

/// Sockets that no node has taken yet.
///
/// # Examples
///
/// ```
/// use herd_sys::{InheritedSockets, PassedBy};
///
/// // Nothing has passed a socket to this process.
/// let inherited = InheritedSockets::from_environment(1, PassedBy::Supervisor)?;
/// assert!(inherited.take_tcp("Riley", "clients", ([127, 0, 0, 1], 15415).into()).is_none());
/// assert!(inherited.untaken().is_empty());
/// # Ok::<(), herd_sys::InheritedSocketError>(())
/// ```
#[derive(Debug, Default)]
pub struct InheritedSockets {
    sockets: Mutex<Vec<Inherited>>,
    passed_by: PassedBy,
    /// The process runs one node, so the name of a socket need not contain that of the node.
    has_one_node: bool,
}

/// Sender of sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PassedBy {
    /// systemd or another program. Its sockets count for more than the addresses of the configuration, and each has to be taken.
    #[default]
    Supervisor,
    /// This process, as it was before an upgrade. Sockets whose address is no longer configured are not taken.
    Predecessor,
}

#[derive(Debug)]
struct Inherited {
    name: String,
    listener: Listener,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener),
}

/// A descriptor that was passed cannot serve. Its sender has to be configured differently.
#[derive(Debug, thiserror::Error)]
#[error("descriptor {number}{name} of LISTEN_FDS is no listening stream socket; set Accept=no")]
pub struct InheritedSocketError {
    number: usize,
    /// With a blank and quotes, if there is one.
    name: String,
    source: io::Error,
}

impl InheritedSockets {
    /// Takes the sockets that were passed to this process, for this number of nodes, and removes `LISTEN_FDS` and
    /// `LISTEN_PID`.
    ///
    /// Call it while the process has one thread, because it changes the environment.
    ///
    /// # Errors
    ///
    /// One of them is no listening socket.
    pub fn from_environment(nodes: usize, passed_by: PassedBy) -> Result<Self, InheritedSocketError> {
        let names = std::env::var(NAMES).unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default().to_string();
            let quoted = if name.is_empty() { String::new() } else { format!(" `{name}`") };
            let failed = |source| InheritedSocketError { number: FIRST + index, name: quoted, source };
            let listener = match passed.take_tcp_listener(index) {
                Ok(Some(listener)) => listener.local_addr().map(|address| Listener::Tcp(listener, address)),
                _ => passed.take_unix_listener(index).and_then(|listener| {
                    listener.map(Listener::Unix).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
                }),
            };
            let listener = listener.and_then(Listener::prepared).map_err(failed)?;
            sockets.push(Inherited { name, listener });
        }
        Ok(Self { sockets: Mutex::new(sockets), passed_by, has_one_node: nodes == 1 })
    }

    /// Takes the TCP socket of a node for a purpose: the one with its [name](socket_name), or bound to its address, or, if the process
    /// runs one node, with the purpose as its name. One of a predecessor has to have the address too, unless it had another one there
    /// as well ([`socket_name_elsewhere`]). It does not block.
    #[must_use]
    pub fn take_tcp(&self, node: &str, purpose: &str, address: SocketAddr) -> Option<TcpListener> {
        let full = socket_name(node, purpose);
        let unchecked = socket_name_elsewhere(node, purpose);
        let rank = |socket: &Inherited| match &socket.listener {
            Listener::Tcp(_, bound) if self.passed_by == PassedBy::Predecessor => {
                (socket.name == full && *bound == address || socket.name == unchecked).then_some(0)
            }
            Listener::Tcp(..) if socket.name == full => Some(0),
            Listener::Tcp(_, bound) if *bound == address => Some(1),
            Listener::Tcp(..) if self.has_one_node && socket.name == purpose => Some(2),
            _ => None,
        };
        match self.take(rank)? {
            Listener::Tcp(listener, _) => Some(listener),
            Listener::Unix(_) => None,
        }
    }

    /// Takes the Unix socket of a node for a purpose, by its name as [`take_tcp`](Self::take_tcp) does. It does not block.
    #[must_use]
    pub fn take_unix(&self, node: &str, purpose: &str) -> Option<UnixListener> {
        let full = socket_name(node, purpose);
        let rank = |socket: &Inherited| match &socket.listener {
            Listener::Unix(_) if socket.name == full => Some(0),
            Listener::Unix(_) if self.has_one_node && socket.name == purpose => Some(1),
            _ => None,
        };
        match self.take(rank)? {
            Listener::Unix(listener) => Some(listener),
            Listener::Tcp(..) => None,
        }
    }

    /// Returns who passed the sockets.
    #[must_use]
    pub fn passed_by(&self) -> PassedBy {
        self.passed_by
    }

    /// Describes the sockets that nobody has taken, for an error.
    #[must_use]
    pub fn untaken(&self) -> Vec<String> {
        let describe = |socket: &Inherited| {
            let name = if socket.name.is_empty() { "without a name" } else { &socket.name };
            match &socket.listener {
                Listener::Tcp(_, address) => format!("`{name}` at {address}"),
                Listener::Unix(listener) => {
                    let address = listener.local_addr().ok();
                    let path = address.as_ref().and_then(|address| address.as_pathname());
                    format!("`{name}` at {}", path.map_or("no path".into(), |path| path.display().to_string()))
                }
            }
        };
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).iter().map(describe).collect()
    }

    /// Takes the socket of the lowest rank.
    fn take(&self, rank: impl Fn(&Inherited) -> Option<u8>) -> Option<Listener> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let ranked = sockets.iter().enumerate().filter_map(|(index, socket)| Some((rank(socket)?, index)));
        let (_, index) = ranked.min()?;
        Some(sockets.remove(index).listener)
    }
}

impl Listener {
    /// Makes the socket one as if it had been bound here: it does not block, and its queue is long.
    fn prepared(self) -> io::Result<Self> {
        let socket = match &self {
            Self::Tcp(listener, _) => {
                listener.set_nonblocking(true)?;
                listener.as_fd()
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                listener.as_fd()
            }
        };
        if !socket_acceptconn(socket)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
        }
        // Again, for the length of the queue. Clients of a Unix socket also see this process as the one that listens.
        listen(socket, BACKLOG)?;
        Ok(self)
    }
}

/// Returns the name under which a socket of a node is passed: `Riley.clients`.
#[must_use]
pub fn socket_name(node: &str, purpose: &str) -> String {
    // The names are a list that colons separate.
    format!("{}.{purpose}", file_name::of(node))
}

/// Returns the name under which a socket of a node is passed that has another address than the one of the configuration: systemd passed
/// it by its name.
#[must_use]
pub fn socket_name_elsewhere(node: &str, purpose: &str) -> String {
    format!("{}.elsewhere", socket_name(node, purpose))
}

/// Variable with the names.
pub(crate) const NAMES: &str = "LISTEN_FDNAMES";
/// Number of the first descriptor.
pub(crate) const FIRST: usize = 3;
/// Connections that wait to be accepted, at most. The system may allow fewer (`net.core.somaxconn`, 4096 by default).
const BACKLOG: i32 = 4096;
