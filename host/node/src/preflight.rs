//! Checks that a start makes, for a look at a node that is not to be started. Nothing is changed.

use std::net::SocketAddr;

use herd_config::HerdConfig;
use herd_sessions::TlsCertificate;

use crate::error::StartError;
use crate::port;

/// Checks that a node could listen on an address, by binding it for a moment. Nobody can connect meanwhile.
///
/// # Errors
///
/// The error that a start would have. Also if the node runs and holds the address.
pub fn check_address(node: &str, purpose: &'static str, address: SocketAddr) -> Result<(), StartError> {
    port::bind(node, purpose, address).map(drop)
}

/// Checks that the certificate for clients of a node can serve, if it has an address for clients with TLS.
///
/// # Errors
///
/// The error that a start would have.
pub fn check_client_tls(config: &HerdConfig, node: &str) -> Result<(), StartError> {
    let is_used = config.nodes.get(node).is_some_and(|node| node.client_tls.is_some());
    let Some(files) = config.client_tls.as_ref().filter(|_| is_used) else { return Ok(()) };
    let [certificate, key] = files.of(node);
    match TlsCertificate::read(&certificate, &key) {
        Ok(_) => Ok(()),
        Err(source) => Err(StartError::ClientTls { node: node.into(), source: Box::new(source) }),
    }
}
