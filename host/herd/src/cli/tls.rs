//! Arguments of commands that connect as clients, with or without TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use herd_load::tls::ClientTls;
use herd_node::config::HerdConfig;

/// Way in which a client connects.
#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// Connect with TLS, to the `client_tls` address of a node.
    #[arg(long)]
    tls: bool,
    /// File with the certificates of the authorities to trust, in PEM. Default: those of the system.
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca: Option<PathBuf>,
    /// Name that the certificate of the node must have. Default: its IP address.
    #[arg(long, value_name = "NAME", requires = "tls")]
    server_name: Option<String>,
}

impl TlsArgs {
    /// Returns the settings of TLS, if it is to be used.
    pub(super) fn settings(&self) -> anyhow::Result<Option<ClientTls>> {
        let settings = self.tls.then(|| ClientTls::new(self.ca.as_deref(), self.server_name.as_deref()));
        Ok(settings.transpose()?)
    }

    /// Returns the address of a node for such a client.
    pub(super) fn address(&self, config: &HerdConfig, name: &str) -> anyhow::Result<SocketAddr> {
        let node = config.node(name)?;
        if !self.tls {
            return Ok(node.client);
        }
        node.client_tls.with_context(|| {
            format!("{name} has no address for clients with TLS; set `nodes.{name}.client_tls` and `client_tls` in the configuration")
        })
    }
}
