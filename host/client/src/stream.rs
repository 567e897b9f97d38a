//! Connection of a client to a node, plain or with TLS.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use herd_sys::TlsSocket;
use herd_sys::socket::read_available;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::ClientTls;

/// A connection. Its readers and writers are those of tokio; without them, it offers operations that never wait.
pub enum NodeStream {
    /// Bytes as they are.
    Plain(TcpStream),
    /// TLS. Boxed, because plain connections are the usual ones.
    Tls(Box<TlsSocket>),
}

impl NodeStream {
    /// Connects, with TLS if there are settings for it. Has no timeout.
    ///
    /// # Errors
    ///
    /// The connection was refused or broke, or the handshake failed.
    ///
    /// Cancel safe: the socket is closed.
    pub async fn connect(address: SocketAddr, tls: Option<&ClientTls>) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, address, tls).await
    }

    /// Makes a connection of an open socket, with TLS if there are settings for it. Has no timeout.
    ///
    /// # Errors
    ///
    /// The handshake failed.
    ///
    /// Cancel safe: the socket is closed.
    pub async fn over(stream: TcpStream, address: SocketAddr, tls: Option<&ClientTls>) -> io::Result<Self> {
        // A request is one small write that waits for its answer, the worst case of Nagle's algorithm. If the kernel
        // refuses the option, the client is only slower.
        let _ = stream.set_nodelay(true);
        Ok(match tls {
            None => Self::Plain(stream),
            Some(tls) => Self::Tls(Box::new(tls.connect(stream, address).await?)),
        })
    }

    /// Returns the socket, for its options.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(socket) => socket.tcp(),
        }
    }

    /// Waits until one of the operations may succeed. Cancel safe.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub async fn ready(&self, interest: Interest) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.ready(interest).await.map(drop),
            Self::Tls(socket) => {
                poll_fn(|cx| match socket.poll_readable(cx) {
                    Poll::Pending if interest.is_writable() => socket.poll_writable(cx),
                    readable => readable,
                })
                .await
            }
        }
    }

    /// Reads the bytes that have arrived, as [`TlsSocket::try_read`] does.
    ///
    /// # Errors
    ///
    /// None has arrived (`WouldBlock`), or the connection broke.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => read_available(stream, into),
            Self::Tls(socket) => socket.try_read(into),
        }
    }

    /// Writes as many bytes as it takes, as [`TlsSocket::try_write`] does.
    ///
    /// # Errors
    ///
    /// It takes none now (`WouldBlock`), or the connection broke.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_write(bytes),
            Self::Tls(socket) => socket.try_write(bytes),
        }
    }
}

impl AsyncRead for NodeStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(socket) => loop {
                ready!(socket.poll_readable(cx))?;
                match socket.try_read(into.initialize_unfilled()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return Poll::Ready(read.map(|count| into.advance(count))),
                }
            },
        }
    }
}

impl AsyncWrite for NodeStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(socket) => loop {
                match socket.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(socket.poll_writable(cx))?,
                    written => return Poll::Ready(written),
                }
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was reported as written has left.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(socket) => loop {
                match socket.end_output() {
                    // The alert is written later; it is made once only.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(socket.poll_writable(cx))?,
                    ended => return Poll::Ready(ended),
                }
            },
        }
    }
}

impl std::fmt::Debug for NodeStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Plain(_)) { "plain connection" } else { "connection with TLS" })
    }
}
