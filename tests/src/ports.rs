//! Reserved addresses on loopback.
//!
//! A port that was free a moment ago may be taken when the node binds it, above all while a node is down: the system may give
//! it to any connection that any test opens. A bound socket that never listens therefore reserves the port. The node can bind
//! it as well, because both sockets allow reuse, and connections are refused until the node listens.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use tokio::net::TcpSocket;

/// An address on loopback, reserved until this value is dropped.
pub(crate) struct HeldAddress {
    _socket: TcpSocket,
    pub(crate) address: SocketAddr,
}

impl HeldAddress {
    /// Reserves a free address.
    ///
    /// # Panics
    ///
    /// If the system has no free port.
    pub(crate) fn any() -> Self {
        Self::at(Ipv4Addr::LOCALHOST)
    }

    /// Reserves a free port of an address on loopback.
    ///
    /// # Panics
    ///
    /// If the address has no free port.
    pub(crate) fn at(address: Ipv4Addr) -> Self {
        Self::reserve((address, 0).into()).expect("there is a free port on loopback")
    }

    /// Reserves a free port and those so far above it; `None` if one of these is taken, or is none. The first distance is 0.
    pub(crate) fn series(above: &[u16]) -> Option<Vec<Self>> {
        let first = Self::any();
        let port = first.address.port();
        let others =
            above[1..].iter().map(|above| Self::reserve((Ipv4Addr::LOCALHOST, port.checked_add(*above)?).into()).ok());
        let others: Option<Vec<Self>> = others.collect();
        Some([first].into_iter().chain(others?).collect())
    }

    fn reserve(address: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(address)?;
        // Only after the bind: with reuse allowed before it, the system could assign a port that another test has reserved.
        socket.set_reuseaddr(true)?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }
}

/// Connects from this address of loopback.
///
/// # Panics
///
/// If the connection is refused.
#[must_use]
#[track_caller]
pub fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let connected = socket(AddressFamily::INET, SocketType::STREAM, None).and_then(|socket| {
        bind(&socket, &SocketAddrV4::new(from, 0))?;
        connect(&socket, &to)?;
        Ok(TcpStream::from(socket))
    });
    connected.unwrap_or_else(|error| panic!("cannot connect from {from} to {to}: {error}"))
}
