//! Configuration of one node: where it listens, where others find it, and its neighbours.
//!
//! Knows nothing of other nodes; whether addresses clash or neighbours exist is for `check`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use herd_sys::{Host, HostPort};
use serde::{Deserialize, Serialize};

/// Table `[nodes.NAME]`. None of it changes while the node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Name or IP address at which other hosts find this one, such as `edge-1.example.net`. Names are looked up at each connection.
    /// Other nodes connect to it for links, with the port of `link`, and `herd send` as a client. Required if `link` is an address of
    /// every interface (`[::]` or `0.0.0.0`). Nodes with different hosts may have the same addresses. Default: the addresses below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// Address for clients, such as `127.0.0.1:15415`, or `[::]:15415` for IPv4 and IPv6 on every interface. Port 0 takes any free port.
    /// Required.
    pub client: SocketAddr,
    /// Address for clients that use TLS, with the certificate of the table `client_tls`. Beside `client`, which stays plain: put that on
    /// loopback if no client is to come without TLS. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_tls: Option<SocketAddr>,
    /// Address for links from other nodes. Default: the client address with its port plus 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<SocketAddr>,
    /// Name or IP address, with a port, to which other nodes connect for links, if that is not `host` with the port of `link`: because
    /// ports are forwarded, for example. Default: `host` with the port of `link`, or else `link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_dial: Option<HostPort>,
    /// Address of the admin API for browsers and scripts, which need the token. Loopback only. The command line uses the admin socket.
    /// Default: the client address with its port plus 2000 if that is loopback, or else
    /// 127.0.0.1 with that port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
    /// Address of metrics and probes for monitoring systems, over HTTP without a token. Default: the address of the table `metrics` with
    /// the port of the client address plus 3000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// Address for plain `AT` lines of older programs, from the networks in `classic.accept` only. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classic: Option<SocketAddr>,
    /// Older programs that this node sends the reports of the herd to, each a host and a port, such as `old-1.example.net:12345`: as plain
    /// `AT` lines. At most 64. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classic_peers: Vec<HostPort>,
    /// Names of the neighbours. A link is two-way, so one side listing it is enough. Default: none.
    #[serde(default)]
    pub links: Vec<String>,
}

impl NodeConfig {
    /// Returns the address on which the node listens for links.
    #[must_use]
    pub fn link_address(&self) -> SocketAddr {
        self.link.unwrap_or_else(|| above(self.client, 1000))
    }

    /// Returns where other nodes connect to for links. Not looked up.
    #[must_use]
    pub fn link_dial(&self) -> HostPort {
        let address = self.link_address();
        match (&self.link_dial, &self.host) {
            (Some(dial), _) => dial.clone(),
            (None, Some(host)) => HostPort { host: host.clone(), port: address.port() },
            (None, None) => address.into(),
        }
    }

    /// Returns where clients connect to that reach the node at this address of it. Not looked up.
    #[must_use]
    pub fn client_dial(&self, address: SocketAddr) -> HostPort {
        match &self.host {
            // Clients on other hosts are not wanted.
            _ if address.ip().is_loopback() => address.into(),
            Some(host) => HostPort { host: host.clone(), port: address.port() },
            None => on_this_host(address).into(),
        }
    }

    /// Returns true if only programs on this host reach the links of the node.
    #[must_use]
    pub fn has_local_links(&self) -> bool {
        self.link_address().ip().is_loopback() && self.link_dial().host.is_loopback()
    }

    /// Returns the address of the admin API.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.unwrap_or_else(|| above_on_loopback(self.client, 2000))
    }
}

/// Returns an address at which this host reaches one on which it listens: loopback in place of every interface.
#[must_use]
pub fn on_this_host(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Returns the address with a port so far above, on loopback: 127.0.0.1 unless it is a loopback address already.
pub(super) fn above_on_loopback(address: SocketAddr, ports: u16) -> SocketAddr {
    let mut address = above(address, ports);
    if !address.ip().is_loopback() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// Returns the address with a port so far above.
fn above(mut address: SocketAddr, ports: u16) -> SocketAddr {
    // Port 0 means any free port and must stay 0.
    if address.port() != 0 {
        address.set_port(address.port().wrapping_add(ports));
    }
    address
}
