//! An address that is bound and not yet listened on, or a socket with which the process was started. Bound: its backlog.

use std::net::SocketAddr;

use herd_sys::InheritedSockets;
use herd_sys::socket::accept_both_families;
use tokio::net::{TcpListener, TcpSocket};

use crate::error::StartError;

/// A bound address, before anybody can connect to it.
///
/// A node binds its addresses before it compiles the guest, so that an address in use is reported at once, and listens
/// after, so that nobody connects to a node that does not serve. To an inherited socket clients connect meanwhile, and wait.
pub(crate) struct Port {
    socket: Socket,
    node: String,
    purpose: Purpose,
    address: SocketAddr,
}

enum Socket {
    Bound(TcpSocket),
    Inherited(std::net::TcpListener),
}

/// Use of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Clients,
    TlsClients,
    Links,
    Admin,
    Metrics,
    Classic,
}

impl Port {
    /// Takes the socket that the process was started with, or else binds the address.
    pub(crate) fn bind(
        inherited: &InheritedSockets,
        node: &str,
        purpose: Purpose,
        address: SocketAddr,
    ) -> Result<Self, StartError> {
        let socket = match inherited.take_tcp(node, purpose.socket_name(), address) {
            Some(listener) => Socket::Inherited(listener),
            None => Socket::Bound(bind(node, purpose.text(), address)?),
        };
        Ok(Self { socket, node: node.into(), purpose, address })
    }

    pub(crate) fn listen(self) -> Result<TcpListener, StartError> {
        let Self { socket, node, purpose, address } = self;
        let listener = match socket {
            Socket::Bound(socket) => socket.listen(BACKLOG),
            // Its queue was made as long when it was taken over.
            Socket::Inherited(listener) => TcpListener::from_std(listener),
        };
        listener.map_err(|source| StartError::bind(&node, purpose.text(), address, source))
    }
}

/// Binds an address.
pub(crate) fn bind(node: &str, purpose: &'static str, address: SocketAddr) -> Result<TcpSocket, StartError> {
    let fail = |source| StartError::bind(node, purpose, address, source);
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(fail)?;
    socket.set_reuseaddr(true).map_err(fail)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        accept_both_families(&socket).map_err(fail)?;
    }
    socket.bind(address).map_err(fail)?;
    Ok(socket)
}

impl Purpose {
    /// Name of a socket for this purpose that is passed from process to process.
    pub(crate) fn socket_name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::TlsClients => "clients-tls",
            Self::Links => "links",
            Self::Admin => ADMIN_SOCKET,
            Self::Metrics => "metrics",
            Self::Classic => "classic",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::TlsClients => "clients with TLS",
            Self::Classic => "classic links",
            other => other.socket_name(),
        }
    }
}

/// Name of the admin socket and of the socket of the admin port, which their kinds tell apart.
pub(crate) const ADMIN_SOCKET: &str = "admin";
/// Connections that wait to be accepted. The operating system may allow fewer.
const BACKLOG: u32 = 4096;
