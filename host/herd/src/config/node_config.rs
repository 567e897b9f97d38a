//! The configuration of a node.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Where clients connect, such as `127.0.0.1:15415`.
    pub client: SocketAddr,
    /// Where other nodes connect. Loopback only, until links are encrypted. Default: 1000 above the client port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<SocketAddr>,
    /// Where the admin API listens. Loopback only. Default: 127.0.0.1, 2000 above the client port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
    /// Its neighbours. A link goes both ways, whichever side lists it.
    #[serde(default)]
    pub links: Vec<String>,
}

impl NodeConfig {
    /// Where other nodes connect.
    #[must_use]
    pub fn link_address(&self) -> SocketAddr {
        self.link.unwrap_or_else(|| above(self.client, 1000))
    }

    /// Where the admin API listens.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.unwrap_or_else(|| {
            let mut address = above(self.client, 2000);
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            address
        })
    }
}

fn above(mut address: SocketAddr, ports: u16) -> SocketAddr {
    // Port 0 means any free one, and stays so.
    if address.port() != 0 {
        address.set_port(address.port().wrapping_add(ports));
    }
    address
}
