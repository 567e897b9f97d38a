//! An address that is bound and not yet listened on.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use super::error::StartError;

/// An address that is taken and not yet listened on: a node that cannot have its addresses says so before it compiles
/// anything, and nobody can connect to one that does not serve yet.
pub(super) struct Port {
    socket: TcpSocket,
    node: String,
    what: &'static str,
    address: SocketAddr,
}

impl Port {
    pub(super) fn bind(node: &str, what: &'static str, address: SocketAddr) -> Result<Self, StartError> {
        let fail = |source| StartError::bind(node, what, address, source);
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(fail)?;
        socket.set_reuseaddr(true).map_err(fail)?;
        socket.bind(address).map_err(fail)?;
        Ok(Self { socket, node: node.into(), what, address })
    }

    pub(super) fn listen(self) -> Result<TcpListener, StartError> {
        let Self { socket, node, what, address } = self;
        socket.listen(BACKLOG).map_err(|source| StartError::bind(&node, what, address, source))
    }
}

/// Clients that connect faster than they are accepted wait here; the system may allow fewer.
const BACKLOG: u32 = 4096;
