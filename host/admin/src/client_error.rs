//! Failures of requests, as an operator reads them.
//!
//! Owns their texts, and the times that these name.

use std::path::PathBuf;
use std::time::Duration;

use herd_sys::LookupError;

/// A request failed. Unless a variant says otherwise, the node changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// The HTTP client cannot be created.
    #[error("cannot create an HTTP client: {0}")]
    Client(reqwest::Error),
    /// The node has no socket on this machine: it does not run, or as another user. The request was not sent, so another node may be
    /// asked in its place.
    #[error(
        "{node} has no admin socket here ({}); is it running? start it with herd run {node}, or run this command as the user of the node; for a node on another host: {OPERATOR_NEEDED}",
        usual.display()
    )]
    NoSocket {
        /// Name of the node.
        node: String,
        /// Where its socket is if the environment names no other place.
        usual: PathBuf,
    },
    /// This user may not use the socket. Nothing was sent.
    #[error(
        "permission denied for {}, which belongs to {owner}; run the command as that user: sudo -u {owner} herd ..., or join the group of `admin.group`",
        socket.display()
    )]
    NotPermitted {
        /// The socket.
        socket: PathBuf,
        /// Its owner, or that of its directory.
        owner: String,
    },
    /// The socket is not that of a user who may run the node, or others can replace it. Nothing was sent.
    #[error(
        "{} is not used: it belongs to {owner}, or others can write to its directory; the node has to run as this user, as root, or as the owner of the state directory",
        socket.display()
    )]
    Foreign {
        /// The socket.
        socket: PathBuf,
        /// Its owner, or that of its directory, or of the process that listens.
        owner: String,
    },
    /// The socket cannot be used for another reason. Nothing was sent.
    #[error("{}: {error}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Error of the operating system.
        error: std::io::Error,
    },
    /// No connection to this address. The request was not sent, so another node may be asked in its place.
    #[error("no answer from {0}; is the node running?")]
    Unreachable(String),
    /// The name of its host does not resolve, or not in time. The request was not sent, so another node may be asked in its place.
    #[error("{node}: {error}")]
    Unresolved {
        /// The node, with its address.
        node: String,
        /// Failure of the look-up.
        error: LookupError,
    },
    /// A connection, but no sign of the node in time: its process is stopped, or has no processor time. Nothing was sent that
    /// changes the node, so another node may be asked in its place.
    #[error("no answer from {node}{}; is its process stopped or overloaded?", within(*.waited))]
    Silent {
        /// The node, or its socket.
        node: String,
        /// Wait for it. Zero if its queue of connections is full.
        waited: Duration,
    },
    /// One side did not prove to the other that it is who it should be: a certificate is not good for this, or the address is that of
    /// another node. Nothing was carried out.
    #[error("{0}")]
    NoTrust(String),
    /// The node was asked by another one, which is named, and did not answer.
    #[error("{why} ({through} asked)")]
    NotTold {
        /// The node that asked.
        through: String,
        /// Reason, as that node gives it.
        why: String,
        /// True if there was no connection.
        is_down: bool,
    },
    /// The node has another token. Holds the file from which that of this client was read.
    #[error("token refused; read from {}", .0.display())]
    TokenRefused(PathBuf),
    /// The node accepted the request and did not answer in time. It may still complete it.
    #[error("{0} did not answer within {ANSWER_MAX:?} and may still complete the request; see herd status")]
    Slow(String),
    /// The node accepted the request, and has given no sign since then. It may still complete it.
    #[error("{0} accepted the request and gives no sign any more; it may still complete it; see herd status")]
    Stalled(String),
    /// The connection broke before the answer was complete. The node may have completed the request.
    #[error("{0} closed the connection before it answered and may have completed the request; see herd status")]
    Broken(String),
    /// The node refused the request, with its reason. A retry does not help.
    #[error("{0}")]
    Refused(String),
    /// The node is busy with another operation, with its reason. A retry may succeed.
    #[error("{0}")]
    Busy(String),
    /// The answer is not that of an admin API: another program has the port.
    #[error("{0} does not speak the admin API")]
    NotAdmin(String),
}

impl AdminClientError {
    /// Returns true if the node was not reached: it does not run, or its host is away or cannot be found. It has received nothing.
    #[must_use]
    pub fn is_down(&self) -> bool {
        matches!(self, Self::NoSocket { .. } | Self::Unreachable(_) | Self::Unresolved { .. })
    }
}

fn within(waited: Duration) -> String {
    if waited.is_zero() { String::new() } else { format!(" within {waited:?}") }
}

/// Command to type for a node that is not on this machine.
pub const OPERATOR_NEEDED: &str =
    "herd certs issue --operator NAME where the authority is, and here: herd certs install NAME.pem";
/// Longest wait for a connection, and for the first sign of a node: a node that runs answers within milliseconds, and an
/// operator should not wait long for one that does not.
pub(super) const SIGN_MAX: Duration = Duration::from_secs(2);
/// Longest wait for an answer: a guest that contains an interpreter compiles for minutes on a small machine.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(300);
