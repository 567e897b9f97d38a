//! Addresses of the node: whether it holds them, or could, and whether its own name leads here.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use herd_config::on_this_host;
use herd_node::check_address;
use herd_peers::probe;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::CheckedNode;
use super::certificates::Certificates;
use super::finding::Finding;
use super::running::Running;

pub(super) async fn look(checked: CheckedNode<'_>, running: &Running, certificates: &Certificates) -> Vec<Finding> {
    let CheckedNode { node, .. } = checked;
    let listening = [
        ("clients", Some(node.client)),
        ("clients with TLS", node.client_tls),
        ("links", Some(node.link_address())),
        ("admin", Some(node.admin_address())),
        ("metrics", checked.herd.metrics.address(node)),
        ("classic links", node.classic),
    ];
    let mut findings = Vec::new();
    for (purpose, address) in listening {
        let Some(address) = address else { continue };
        findings.push(match running {
            _ if address.port() == 0 => Finding::ok(purpose, format!("{address}, any free port")),
            Running::Yes(_) => held(purpose, address).await,
            Running::No => free(checked, purpose, address),
            // Its process has the address, unless it has ended without removing its socket.
            Running::Unknown(_) => continue,
        });
    }
    findings.extend(own_host(checked).await);
    if running.is_running() {
        findings.extend(own_links(checked, certificates).await);
    }
    findings
}

/// Looks at an address of a node that runs.
async fn held(purpose: &str, address: SocketAddr) -> Finding {
    match timeout(CONNECT_MAX, TcpStream::connect(on_this_host(address))).await {
        Ok(Ok(_)) => Finding::ok(purpose, format!("{address} accepts connections")),
        failed => {
            let why = failed.map_or_else(
                |_| format!("no answer within {CONNECT_MAX:?}"),
                |error| error.map_or_else(|error| error.to_string(), |_| String::new()),
            );
            Finding::fault(purpose, format!("the node runs, and nothing accepts on {address}: {why}"))
                .fix("see its log; was the configuration changed since it started?")
        }
    }
}

/// Looks at an address of a node that does not run.
fn free(checked: CheckedNode<'_>, purpose: &'static str, address: SocketAddr) -> Finding {
    match check_address(checked.name, purpose, address) {
        Ok(()) => Finding::ok(purpose, format!("{address} is free")),
        Err(error) => Finding::fault(purpose, format!("{:#}", anyhow::Error::new(error)))
            .fix(format!("which program has the port: ss -ltnp 'sport = :{}'", address.port())),
    }
}

/// Looks at the name under which others find this host.
async fn own_host(checked: CheckedNode<'_>) -> Option<Finding> {
    let host = checked.node.host.as_ref()?;
    let addresses = match checked.node.link_dial().resolve(LOOKUP_MAX).await {
        Ok(addresses) => addresses,
        Err(error) => {
            return Some(Finding::fault(HOST, error.to_string()).fix(format!(
                "correct `nodes.{}.host`, or add the name to DNS or to /etc/hosts of every host",
                checked.name
            )));
        }
    };
    let listed: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let listed = listed.join(", ");
    Some(if host.ip().is_none() && addresses.iter().all(|address| address.ip().is_loopback()) && !host.is_loopback() {
        // As Debian writes it to /etc/hosts for the name of the host itself.
        Finding::ok(HOST, format!("{host} is {listed} here; other hosts must find another address"))
    } else if addresses.iter().any(|address| is_of_this_host(address.ip())) {
        Finding::ok(HOST, format!("{host} is {listed}, of this host"))
    } else {
        Finding::warn(HOST, format!("{host} is {listed}, and this host has no such address"))
            .fix("right if another device forwards the ports to this host; otherwise run this on the host of the node, or correct the name")
    })
}

/// Asks the node itself through its own name, as a neighbour would.
async fn own_links(checked: CheckedNode<'_>, certificates: &Certificates) -> Option<Finding> {
    let (dial, identity) = (checked.node.link_dial(), certificates.identity()?);
    if dial.port == 0 {
        return None;
    }
    Some(match probe(&identity, &dial, checked.name).await {
        Ok(probed) => Finding::ok("links", format!("{dial} leads to the node, by {}", probed.address)),
        Err(error) => Finding::warn("links", format!("{dial} does not lead to the node from here: {error}"))
            .fix("right if another device forwards the port and does not do so for this host; neighbours tell more"),
    })
}

/// Returns whether an address is one of this host.
pub(super) fn is_of_this_host(ip: IpAddr) -> bool {
    // The kernel binds no other.
    UdpSocket::bind((ip, 0)).is_ok()
}

const HOST: &str = "host";
const CONNECT_MAX: Duration = Duration::from_secs(1);
const LOOKUP_MAX: Duration = Duration::from_secs(2);
