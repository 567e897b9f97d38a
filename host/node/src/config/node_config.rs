//! Configuration of one node: its addresses and its neighbours.
//!
//! Knows nothing of other nodes; whether addresses clash or neighbours exist is for `check`.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Table `[nodes.NAME]`. None of it changes while the node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Address for clients, such as `127.0.0.1:15415`. Port 0 takes any free port. Required.
    pub client: SocketAddr,
    /// Address for clients that use TLS, with the certificate of the table `client_tls`. Beside `client`, which stays plain: put that on
    /// loopback if no client is to come without TLS. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_tls: Option<SocketAddr>,
    /// Address for links from other nodes, which connect to this very address: that of the host, or loopback if all nodes are on one
    /// host. Default: the client address with its port plus 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<SocketAddr>,
    /// Address of the admin API for browsers and scripts, which need the token. Loopback only. The command line uses the admin socket.
    /// Default: the client address with its port plus 2000 if that is loopback, or else
    /// 127.0.0.1 with that port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
    /// Names of the neighbours. A link is two-way, so one side listing it is enough. Default: none.
    #[serde(default)]
    pub links: Vec<String>,
}

impl NodeConfig {
    /// Returns the address for links from other nodes.
    #[must_use]
    pub fn link_address(&self) -> SocketAddr {
        self.link.unwrap_or_else(|| above(self.client, 1000))
    }

    /// Returns the address of the admin API.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.unwrap_or_else(|| {
            let mut address = above(self.client, 2000);
            if !address.ip().is_loopback() {
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            address
        })
    }
}

fn above(mut address: SocketAddr, ports: u16) -> SocketAddr {
    // Port 0 means any free port and must stay 0.
    if address.port() != 0 {
        address.set_port(address.port().wrapping_add(ports));
    }
    address
}
