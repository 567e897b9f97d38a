//! Errors of a client.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

/// Why a node was not reached or gave no answer. The connection is lost in every case, the node's state unknown:
/// it may have taken the line.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The connection was refused or failed. The node is down or the address is wrong.
    #[error("cannot connect to {addr}")]
    Connect {
        /// The node's address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The connection did not come about in time.
    #[error("no connection to {addr} within {} ms", waited.as_millis())]
    ConnectTimeout {
        /// The node's address.
        addr: SocketAddr,
        /// The time given.
        waited: Duration,
    },
    /// The whole answer was not there in time.
    #[error("no complete answer from {addr} within {} ms", waited.as_millis())]
    AnswerTimeout {
        /// The node's address.
        addr: SocketAddr,
        /// The time given.
        waited: Duration,
    },
    /// Reading or writing failed while an answer was awaited.
    #[error("connection to {addr} failed")]
    Io {
        /// The node's address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The node closed the connection before it had answered at all. Normal when it was idle for long, or when the
    /// node closes after every reply: connect again.
    #[error("{addr} closed the connection without an answer")]
    Closed {
        /// The node's address.
        addr: SocketAddr,
    },
    /// The node closed the connection in the middle of an answer.
    #[error("{addr} closed the connection within an answer")]
    CutShort {
        /// The node's address.
        addr: SocketAddr,
    },
    /// The answer grew over its limit. The node's fault, or it is no node of a herd.
    #[error("the {part} from {addr} is longer than {bytes_max} bytes")]
    TooLong {
        /// The node's address.
        addr: SocketAddr,
        /// Which part of the answer.
        part: &'static str,
        /// The limit it went over.
        bytes_max: usize,
    },
    /// The answer is not UTF-8, though everything sent was.
    #[error("the answer from {addr} is not UTF-8")]
    NotText {
        /// The node's address.
        addr: SocketAddr,
    },
    /// The answer to a `WHATSAT` begins like neither an `AT` line nor an invalid command.
    #[error("unexpected answer from {addr}: {start:?}")]
    Unexpected {
        /// The node's address.
        addr: SocketAddr,
        /// The first characters of the line.
        start: String,
    },
}
