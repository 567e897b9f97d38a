//! Port to the node: what links need from it.
//!
//! All calls come from the task of a link, on a worker thread, but that of [`PeersHost::accept_admin`], which comes from the listener.
//! Bounds: none here; each call handles one frame or one connection.

use std::net::SocketAddr;

use herd_identity::Connection;
use herd_replication::{LinkPort, WireReport};
use herd_sys::TrafficLog;
use tokio::net::TcpStream;

/// The node, as its links see it.
pub trait PeersHost: Send + Sync + 'static {
    /// Decides and applies the reports of a frame, which a peer sent on the link of this port, before it returns.
    ///
    /// # Errors
    ///
    /// A report is malformed, and the text says why. No report was applied; the link is closed.
    fn receive_reports(&self, from: &LinkPort, reports: &[WireReport<'_>]) -> Result<(), String>;

    /// Reports that a peer has acknowledged records. Must not wait.
    fn acknowledged(&self);

    /// Takes a message from a peer. Must not wait.
    ///
    /// # Errors
    ///
    /// The message is malformed, and the text says why. The link is closed.
    fn receive_message(&self, from: &str, message: &[u8]) -> Result<(), String>;

    /// Takes a message about compiled code from a peer. Must not wait.
    ///
    /// # Errors
    ///
    /// The message is malformed, and the text says why. The link is closed.
    fn receive_code_message(&self, from: &str, message: &[u8]) -> Result<(), String>;

    /// Reports that a link came up. Must not wait.
    fn link_up(&self, peer: &str);

    /// Reports that a link went down and was not replaced. Must not wait.
    fn link_down(&self, peer: &str);

    /// Reports that a peer told of authorities or revocations that were news, so that they are stored. Must not wait.
    fn trust_learned(&self);

    /// Takes a connection to the admin API, of a member that has proved who it is, and its address. Called on the runtime from which the
    /// links were started. Must not wait.
    fn accept_admin(&self, connection: Connection<TcpStream>, address: SocketAddr);

    /// Returns the traffic log, if one is configured.
    fn traffic(&self) -> Option<&TrafficLog>;
}
