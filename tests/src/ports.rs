//! Addresses that are free and stay so.
//!
//! A port that was free a moment ago may be taken when the node wants it, all the more while a node is down: any
//! connection that any test opens may get it. So it is held by a bound socket that never listens. The node can bind it
//! as well, because both sides allow reuse, and until it listens connections are refused.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// An address on loopback, held for as long as this lives.
pub(crate) struct HeldAddress {
    _socket: TcpSocket,
    pub(crate) address: SocketAddr,
}

impl HeldAddress {
    /// Takes a free one.
    ///
    /// # Panics
    ///
    /// When the system has none.
    pub(crate) fn any() -> Self {
        let taken = TcpSocket::new_v4().and_then(|socket| {
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            // After the bind, so that the system does not hand out a port that another test holds.
            socket.set_reuseaddr(true)?;
            Ok(Self { address: socket.local_addr()?, _socket: socket })
        });
        taken.expect("there is a free port on loopback")
    }
}
