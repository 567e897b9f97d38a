//! What must hold across keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::problem::hint;
use super::{HerdConfig, NodeConfig};

/// Checks a configuration that has the right shape.
///
/// # Errors
///
/// The first problem, in words.
pub(super) fn check(config: &HerdConfig) -> Result<(), String> {
    if config.nodes.is_empty() {
        return Err("there are no nodes; leave `[nodes]` out for the five-node herd".into());
    }
    for (name, node) in &config.nodes {
        check_name(name)?;
        check_node(config, name, node)?;
    }
    check_addresses(config)?;
    let line_bytes_max = config.sessions.line_bytes_max;
    if !(1..=LINE_BYTES_MAX).contains(&line_bytes_max) {
        return Err(format!("`sessions.line_bytes_max` is {line_bytes_max}; it must be 1 to {LINE_BYTES_MAX}"));
    }
    if config.places.sources.is_empty() {
        return Err("`places.sources` is empty; `[\"embedded\"]` needs no key and no network".into());
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let right = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
    if right {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no name for a node; it must be 1 to {NAME_BYTES_MAX} printable ASCII characters without blanks"
    ))
}

fn check_node(config: &HerdConfig, name: &str, node: &NodeConfig) -> Result<(), String> {
    for other in &node.links {
        if other == name {
            return Err(format!("{name} links to itself"));
        }
        if !config.nodes.contains_key(other) {
            let others = config.nodes.keys().filter(|known| *known != name);
            return Err(format!("{name} links to `{other}`, which is no node{}", hint(other, others)));
        }
    }
    let link = node.link_address();
    if !link.ip().is_loopback() {
        return Err(format!(
            "{name} takes links on {link}, which is not loopback; links are not encrypted yet, so set `nodes.{name}.link` to 127.0.0.1"
        ));
    }
    let admin = node.admin_address();
    if !admin.ip().is_loopback() {
        return Err(format!("the admin API of {name} is on {admin}; it binds to loopback only"));
    }
    Ok(())
}

fn check_addresses(config: &HerdConfig) -> Result<(), String> {
    let mut taken: BTreeMap<SocketAddr, String> = BTreeMap::new();
    for (name, node) in &config.nodes {
        let addresses = [("client", node.client), ("link", node.link_address()), ("admin", node.admin_address())];
        for (what, address) in addresses.into_iter().filter(|(_, address)| address.port() != 0) {
            let user = format!("the {what} address of {name}");
            if let Some(other) = taken.insert(address, user.clone()) {
                return Err(format!("{address} is both {other} and {user}"));
            }
        }
    }
    Ok(())
}

/// A rank holds 28 bytes of an origin's name; the record, compared after it, holds all of it.
const NAME_BYTES_MAX: usize = 64;
/// What one read takes.
const LINE_BYTES_MAX: usize = 64 << 10;
