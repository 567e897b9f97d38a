//! Errors of a client. Each names the node, because commands talk to several.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

/// A node was not reached or gave no complete answer. In every case the connection is lost, and the node may have accepted the
/// line.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The connection was refused or failed. The node is down or the address is wrong.
    #[error("cannot connect to {addr}")]
    Connect {
        /// Address of the node.
        addr: SocketAddr,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The connection was not established in time.
    #[error("no connection to {addr} within {} ms", waited.as_millis())]
    ConnectTimeout {
        /// Address of the node.
        addr: SocketAddr,
        /// Timeout.
        waited: Duration,
    },
    /// The answer was not complete in time.
    #[error("no complete answer from {addr} within {} ms", waited.as_millis())]
    AnswerTimeout {
        /// Address of the node.
        addr: SocketAddr,
        /// Timeout.
        waited: Duration,
    },
    /// A read or write failed before the answer was complete.
    #[error("connection to {addr} failed")]
    Io {
        /// Address of the node.
        addr: SocketAddr,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The node closed the connection without an answer. Normal after a long idle time, or when the node closes after every
    /// reply: connect again.
    #[error("{addr} closed the connection without an answer")]
    Closed {
        /// Address of the node.
        addr: SocketAddr,
    },
    /// The node closed the connection in the middle of an answer.
    #[error("{addr} closed the connection in the middle of an answer")]
    CutShort {
        /// Address of the node.
        addr: SocketAddr,
    },
    /// The answer exceeds its limit. The server is at fault, or is not a node.
    #[error("the {part} from {addr} is longer than {bytes_max} bytes")]
    TooLong {
        /// Address of the node.
        addr: SocketAddr,
        /// Part of the answer.
        part: &'static str,
        /// Limit that was exceeded.
        bytes_max: usize,
    },
    /// The answer is not UTF-8, although every request was.
    #[error("the answer from {addr} is not UTF-8")]
    NotText {
        /// Address of the node.
        addr: SocketAddr,
    },
    /// The answer to a `WHATSAT` is neither an `AT` line nor an echo of an invalid command.
    #[error("unexpected answer from {addr}: {start:?}")]
    Unexpected {
        /// Address of the node.
        addr: SocketAddr,
        /// First characters of the line.
        start: String,
    },
}
