//! Name and address of a node.

use std::net::SocketAddr;

/// Node, by its name in `AT` lines and its address for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddr {
    /// Name, as in the configuration.
    pub name: String,
    /// Address for clients.
    pub addr: SocketAddr,
}
