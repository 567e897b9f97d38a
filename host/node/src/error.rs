//! Reasons why a node does not start.
//!
//! Knows nothing of how it starts; `start.rs` does.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use herd_admin::{AdminClientError, AdminSocketError};
use herd_otlp::ExporterError;
use herd_runtime::LoadError;
use herd_sessions::TlsCertificateError;
use herd_sys::TrafficLogError;
use herd_upstreams::UpstreamConfigError;

/// A node did not start. Nothing of it is left running, and the state directory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound. The operator has to free it or configure another.
    #[error("{node} cannot listen on {address} for {purpose}{hint}")]
    Bind {
        /// Name of the node.
        node: String,
        /// Clients, links or admin.
        purpose: &'static str,
        /// The address.
        address: SocketAddr,
        /// Error of the operating system.
        source: io::Error,
        /// Continuation of the message that says what to do; empty for an unusual error.
        hint: &'static str,
    },
    /// A thread did not start. The machine is at fault.
    #[error("{node} cannot start a thread")]
    Thread {
        /// Name of the node.
        node: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The node has no certificate that its peers would accept.
    #[error("{node} cannot prove to its peers who it is")]
    Identity {
        /// Name of the node.
        node: String,
        /// The reason, and what to type.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The configured guest does not load.
    #[error("the guest cannot serve {node}")]
    Guest {
        /// Name of the node.
        node: String,
        /// The stage that failed, and its reason.
        source: LoadError,
    },
    /// The compiled code that came with the guest of the configuration cannot be stored.
    #[error("{node} cannot store the compiled code of its guest")]
    Code {
        /// Name of the node.
        node: String,
        /// The reason.
        source: std::io::Error,
    },
    /// The certificate for clients cannot serve.
    #[error("{node} cannot serve clients with TLS")]
    ClientTls {
        /// Name of the node.
        node: String,
        /// The reason.
        source: Box<TlsCertificateError>,
    },
    /// The configuration of an upstream is wrong.
    #[error(transparent)]
    Upstream(#[from] UpstreamConfigError),
    /// The traffic log cannot be opened.
    #[error(transparent)]
    Traffic(#[from] TrafficLogError),
    /// Spans cannot be exported.
    #[error("{node} cannot export traces")]
    Traces {
        /// Name of the node.
        node: String,
        /// The reason.
        source: ExporterError,
    },
    /// The folder for recorded decisions cannot be used.
    #[error("the recording of {node} in {}: {source}; `record.enabled = false` starts without one", directory.display())]
    Recording {
        /// Name of the node.
        node: String,
        /// The folder.
        directory: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] herd_audit::OpenError),
    /// The records of the node cannot be read or written.
    #[error("the records of {node}: {source}")]
    Records {
        /// Name of the node.
        node: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The admin socket cannot be made.
    #[error("{node} has no admin socket")]
    AdminSocket {
        /// Name of the node.
        node: String,
        /// The reason, with what to do.
        source: AdminSocketError,
    },
    /// The client with which the node asks others for their status cannot be made.
    #[error("{node} cannot ask other nodes for their status")]
    AdminClient {
        /// Name of the node.
        node: String,
        /// The reason.
        source: AdminClientError,
    },
    /// The configuration has no node of this name.
    #[error("unknown node `{0}`")]
    NoNode(String),
    /// The node panicked while it started, which is a bug in the host.
    #[error("{0} panicked while it started; the log has the details")]
    Panicked(String),
}

impl StartError {
    pub(crate) fn bind(node: &str, purpose: &'static str, address: SocketAddr, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "; another program has that port, perhaps another herd: stop it, or choose another address in the configuration"
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
            io::ErrorKind::AddrNotAvailable => {
                "; this machine has no such address: `ip address` lists those that it has, and [::] is all of them"
            }
            // The kernel has no IPv6.
            _ if address.is_ipv6() => {
                "; if this machine has no IPv6, write 0.0.0.0 in place of [::] in its configuration"
            }
            _ => "",
        };
        Self::Bind { node: node.into(), purpose, address, source, hint }
    }
}
