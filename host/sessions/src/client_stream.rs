//! The connection of a client, plain or with TLS.
//!
//! An enum and not two kinds of session: so both share the batches of a worker. A plain connection pays a branch per read and write,
//! which the system call hides.

use std::io;
use std::task::{Context, Poll};

use herd_sys::{DetachedTlsSocket, TlsSocket};
use tokio::net::TcpStream;

use crate::transport::Transport;

/// The connection of a session.
pub(crate) enum ClientStream {
    Plain(TcpStream),
    Tls(TlsSocket),
}

/// A connection on its way between two runtimes.
pub(crate) enum DetachedStream {
    Plain(std::net::TcpStream),
    Tls(DetachedTlsSocket),
}

impl ClientStream {
    /// Returns the socket, for its options.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(socket) => socket.tcp(),
        }
    }
}

impl DetachedStream {
    /// Attaches it to the runtime that runs this.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub(crate) fn attach(self) -> io::Result<ClientStream> {
        Ok(match self {
            Self::Plain(stream) => ClientStream::Plain(TcpStream::from_std(stream)?),
            Self::Tls(socket) => ClientStream::Tls(socket.attach()?),
        })
    }
}

impl Transport for ClientStream {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => Transport::try_read(stream, into),
            Self::Tls(socket) => socket.try_read(into),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => Transport::try_write(stream, bytes),
            Self::Tls(socket) => socket.try_write(bytes),
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_readable(cx),
            Self::Tls(socket) => socket.poll_readable(cx),
        }
    }

    async fn end_of_input(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => Transport::end_of_input(stream).await,
            Self::Tls(socket) => socket.end_of_input().await,
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_writable(cx),
            Self::Tls(socket) => socket.poll_writable(cx),
        }
    }

    fn end_output(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.end_output(),
            Self::Tls(socket) => socket.end_output(),
        }
    }
}
