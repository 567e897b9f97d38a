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
        let taken = TcpSocket::new_v4().and_then(|socket| {
            socket.bind((address, 0).into())?;
            // Only after the bind: with reuse allowed before it, the system could assign a port that another test has reserved.
            socket.set_reuseaddr(true)?;
            Ok(Self { address: socket.local_addr()?, _socket: socket })
        });
        taken.expect("there is a free port on loopback")
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
