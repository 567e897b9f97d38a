//! Second handles of the sockets on which a node listens, for the program that its process becomes.
//!
//! As long as they are open, the system accepts connections, also after the parts that own the sockets have ended. So they are closed
//! before a drain without a successor. Bound: seven descriptors.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use herd_admin::{AdminSocketHandle, PassedAdminSocket};
use herd_sys::{socket_name, socket_name_elsewhere};
use parking_lot::Mutex;
use tokio::net::TcpListener;

use crate::port::{ADMIN_SOCKET, Purpose};

/// Handles of the sockets of one node, until they are closed or handed over.
pub(crate) struct ListeningSockets(Mutex<Option<Handles>>);

struct Handles {
    node: String,
    /// With their names.
    ports: Vec<(String, OwnedFd)>,
    admin_socket: AdminSocketHandle,
}

impl ListeningSockets {
    /// Duplicates the sockets of a node. With each port comes the address of the configuration.
    pub(crate) fn of(
        node: &str,
        ports: &[(Purpose, &TcpListener, SocketAddr)],
        admin_socket: AdminSocketHandle,
    ) -> io::Result<Self> {
        let duplicate = |(purpose, listener, configured): &(Purpose, &TcpListener, SocketAddr)| {
            let is_there = listener.local_addr()? == *configured;
            let name = if is_there { socket_name } else { socket_name_elsewhere };
            io::Result::Ok((name(node, purpose.socket_name()), listener.as_fd().try_clone_to_owned()?))
        };
        let ports = ports.iter().map(duplicate).collect::<io::Result<_>>()?;
        Ok(Self(Mutex::new(Some(Handles { node: node.into(), ports, admin_socket }))))
    }

    /// Closes the handles: connections are refused once the parts that listen have stopped.
    pub(crate) fn close(&self) {
        drop(self.0.lock().take());
    }

    /// Returns the sockets for a successor. The file of the admin socket stays.
    pub(crate) fn hand_over(&self) -> HandedSockets {
        let Some(Handles { node, ports, admin_socket }) = self.0.lock().take() else { return HandedSockets::default() };
        HandedSockets { ports, admin_socket: Some((socket_name(&node, ADMIN_SOCKET), admin_socket.pass_on())) }
    }
}

/// Listening sockets of a node, for the program that its process becomes.
#[derive(Debug, Default)]
pub struct HandedSockets {
    ports: Vec<(String, OwnedFd)>,
    admin_socket: Option<(String, PassedAdminSocket)>,
}

impl HandedSockets {
    /// Returns the sockets with their names.
    #[must_use]
    pub fn into_named(self) -> Vec<(String, OwnedFd)> {
        let mut named = self.ports;
        named.extend(self.admin_socket.map(|(name, socket)| (name, socket.into_listener())));
        named
    }

    /// Closes the sockets, and removes the file of the admin socket: the process ends instead.
    pub fn close(self) {
        if let Some((_, socket)) = self.admin_socket {
            socket.close();
        }
    }
}
