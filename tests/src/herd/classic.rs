//! Classic links of a herd: ports for lines of older programs, and the programs that nodes send lines to.

use std::net::SocketAddr;

use super::Herd;
use crate::ports::HeldAddress;

impl Herd {
    /// Gives a node a port for classic links, and has it send lines to these programs. `classic.accept` says who may connect.
    ///
    /// # Panics
    ///
    /// If the herd has no such node.
    #[must_use]
    pub fn with_classic(mut self, node: &str, peers: &[SocketAddr]) -> Self {
        let node = self.nodes.get_mut(node).expect("the herd has the node");
        (node.classic, node.classic_peers) = (Some(HeldAddress::any()), peers.to_vec());
        self.write_config();
        self
    }

    /// Address of a node for classic links.
    ///
    /// # Panics
    ///
    /// If it has none.
    #[must_use]
    pub fn classic_address(&self, node: &str) -> SocketAddr {
        self.nodes[node].classic.as_ref().expect("the node has classic links").address
    }
}
