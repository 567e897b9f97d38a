//! Name and address of a node.

use std::net::SocketAddr;

/// A node, by the name it gives in `AT` lines and the address where it takes clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddr {
    /// The name, as in the configuration.
    pub name: String,
    /// The address for clients.
    pub addr: SocketAddr,
}
