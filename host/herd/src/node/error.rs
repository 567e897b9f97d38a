//! Reasons why a node does not start.

use std::io;
use std::net::SocketAddr;

use herd_runtime::LoadError;
use herd_sys::TrafficLogError;
use herd_upstreams::UpstreamConfigError;

/// A node did not start. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error("{node} cannot listen on {address} for {what}{hint}")]
    Bind {
        /// Which node.
        node: String,
        /// For whom.
        what: &'static str,
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The guest does not load.
    #[error("the guest cannot serve {node}")]
    Guest {
        /// Which node.
        node: String,
        /// Why.
        source: LoadError,
    },
    /// An upstream is configured wrongly.
    #[error(transparent)]
    Upstream(#[from] UpstreamConfigError),
    /// The file for the traffic cannot be written.
    #[error(transparent)]
    Traffic(#[from] TrafficLogError),
    /// The audit log cannot be begun.
    #[error(transparent)]
    Audit(#[from] herd_audit::OpenError),
    /// The configuration has no node of this name.
    #[error("there is no node `{0}`")]
    NoNode(String),
    /// The node panicked while it started.
    #[error("{0} panicked while it started; the log says why")]
    Panicked(String),
}

impl StartError {
    pub(super) fn bind(node: &str, what: &'static str, address: SocketAddr, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "; another program has that port, perhaps another herd: stop it, or choose another address in the configuration"
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            _ => "",
        };
        Self::Bind { node: node.into(), what, address, source, hint }
    }
}
