//! Connection of a case to a node, which records how replies arrive.
//!
//! Unlike [`Client`](crate::Client) it returns errors, because a broken connection may be the expectation of a case.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A connection to a node.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
}

/// Bytes received, and the state of the connection after them.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    /// Number of bytes that the first read returned.
    pub(super) first: usize,
    /// State of the node's side.
    pub(super) end: End,
}

/// State of the node's side of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Open,
    Closed,
    Broken(String),
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// The connection is refused or times out.
    pub(super) fn open(address: SocketAddr) -> Result<Self, String> {
        let connect = || {
            let stream = TcpStream::connect_timeout(&address, super::ANSWER_MAX)?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(super::ANSWER_MAX))?;
            Ok(Self { stream })
        };
        connect().map_err(|error: std::io::Error| format!("cannot connect: {error}"))
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// The connection is broken, or the node does not read.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|error| format!("the node does not take what is sent: {error}"))
    }

    /// Half-closes.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.stream.shutdown(Shutdown::Write).map_err(|error| format!("cannot half-close: {error}"))
    }

    /// Closes the connection with a reset.
    ///
    /// # Errors
    ///
    /// The system cannot set the socket option.
    pub(super) fn reset(self) -> Result<(), String> {
        let reset = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            let _entered = runtime.enter();
            self.stream.set_nonblocking(true)?;
            tokio::net::TcpStream::from_std(self.stream)?.set_zero_linger()
        };
        reset().map_err(|error: std::io::Error| format!("cannot reset: {error}"))
    }

    /// Reads until `enough` holds, the node's side ends, or the time is over.
    pub(super) fn receive(&mut self, within: Duration, mut enough: impl FnMut(&[u8]) -> bool) -> Reply {
        let until = Instant::now() + within;
        let (mut reply, mut buffer) = (Reply::default(), vec![0; READ_BYTES]);
        while !enough(&reply.bytes) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let read = self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(&mut buffer));
            match read {
                Ok(0) => {
                    reply.end = End::Closed;
                    break;
                }
                Ok(count) => {
                    if reply.bytes.is_empty() {
                        reply.first = count;
                    }
                    reply.bytes.extend_from_slice(&buffer[..count]);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => {
                    reply.end = End::Broken(error.to_string());
                    break;
                }
            }
        }
        reply
    }
}

/// Larger than any reply, so that a reply that arrived in one piece is read in one piece.
const READ_BYTES: usize = 1 << 20;
