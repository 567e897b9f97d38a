//! An address that is bound and not yet listened on. Bound: its backlog.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::error::StartError;

/// A bound address, before anybody can connect to it.
///
/// A node binds its addresses before it compiles the guest, so that an address in use is reported at once, and listens
/// after, so that nobody connects to a node that does not serve.
pub(crate) struct Port {
    socket: TcpSocket,
    node: String,
    purpose: &'static str,
    address: SocketAddr,
}

impl Port {
    pub(crate) fn bind(node: &str, purpose: &'static str, address: SocketAddr) -> Result<Self, StartError> {
        let fail = |source| StartError::bind(node, purpose, address, source);
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(fail)?;
        socket.set_reuseaddr(true).map_err(fail)?;
        socket.bind(address).map_err(fail)?;
        Ok(Self { socket, node: node.into(), purpose, address })
    }

    pub(crate) fn listen(self) -> Result<TcpListener, StartError> {
        let Self { socket, node, purpose, address } = self;
        socket.listen(BACKLOG).map_err(|source| StartError::bind(&node, purpose, address, source))
    }
}

/// Connections that wait to be accepted. The operating system may allow fewer.
const BACKLOG: u32 = 4096;
