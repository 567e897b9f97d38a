//! Arguments of commands that connect as clients, with or without TLS, and the addresses to which they do.
//!
//! Bounds: time for the names of nodes, and for their addresses.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures_util::future::join_all;
use herd_client::ClientTls;
use herd_config::HerdConfig;
use herd_sys::{Host, HostPort, connect};

use super::client_runtime::block_on;

/// Way in which a client connects.
#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// Connect with TLS, to the `client_tls` address of a node.
    #[arg(long)]
    tls: bool,
    /// File with the certificates of the authorities to trust, in PEM. Default: those of the system.
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca: Option<PathBuf>,
    /// Name that the certificate of the node must have. Default: the `host` of the node for `herd send`, or else its IP address.
    #[arg(long, value_name = "NAME", requires = "tls")]
    server_name: Option<String>,
}

impl TlsArgs {
    /// Returns the settings of TLS, if it is to be used. `host` is that of the node, if there is one node.
    pub(super) fn settings(&self, host: Option<&Host>) -> anyhow::Result<Option<ClientTls>> {
        let server_name = self.server_name.as_deref().or(host.map(Host::as_str));
        let settings = self.tls.then(|| ClientTls::new(self.ca.as_deref(), server_name));
        Ok(settings.transpose()?)
    }

    /// Returns the address of a node for such a client. Looks its name up, if it has one; of several addresses it is the first that
    /// accepts connections.
    ///
    /// # Errors
    ///
    /// The node is unknown, has no such address, or its name does not resolve.
    pub(super) fn address(&self, config: &HerdConfig, name: &str) -> anyhow::Result<SocketAddr> {
        self.addresses(config, &[name]).map(|addresses| addresses[0])
    }

    /// Does the same for several nodes, whose names are looked up together. Returns as many addresses, in the order of the nodes.
    ///
    /// # Errors
    ///
    /// As [`address`](Self::address), for the first of them that has none.
    pub(super) fn addresses(&self, config: &HerdConfig, names: &[&str]) -> anyhow::Result<Vec<SocketAddr>> {
        let dials = names.iter().map(|name| self.dial(config, name)).collect::<anyhow::Result<Vec<_>>>()?;
        let found = block_on(Box::pin(join_all(dials.into_iter().map(usable_address))))?;
        let named = names.iter().zip(found);
        named.map(|(name, found)| found.with_context(|| format!("{name} cannot be found"))).collect()
    }

    /// Returns where such a client connects.
    fn dial(&self, config: &HerdConfig, name: &str) -> anyhow::Result<HostPort> {
        let node = config.node(name)?;
        let listening = match self.tls {
            false => node.client,
            true => node.client_tls.with_context(|| {
                format!("{name} has no address for clients with TLS; set `nodes.{name}.client_tls` and `client_tls` in the configuration")
            })?,
        };
        Ok(node.client_dial(listening))
    }
}

async fn usable_address(dial: HostPort) -> anyhow::Result<SocketAddr> {
    let addresses = dial.resolve(LOOKUP_MAX).await?;
    if let [only] = *addresses {
        return Ok(only);
    }
    match connect::open(&addresses, CONNECT_MAX).await {
        Ok((_, address)) => Ok(address),
        // The caller connects to it, and says what is wrong.
        Err(_) => addresses.first().copied().context("a name that resolves has an address"),
    }
}

/// Time for the name of a node.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// Time for a connection to one of several addresses.
const CONNECT_MAX: Duration = Duration::from_secs(3);
