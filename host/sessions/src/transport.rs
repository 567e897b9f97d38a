//! Port: the connection of a client. A TCP socket offers it, and a benchmark without sockets.

use std::io;
use std::task::{Context, Poll};

use herd_sys::socket::{end_of_input, read_available};
use tokio::net::TcpStream;

/// A connection whose operations never wait: they return [`io::ErrorKind::WouldBlock`], and the task polls for readiness.
pub(crate) trait Transport: 'static {
    /// Reads the bytes that have arrived. Returns 0 once the client has ended its input.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if no byte has arrived; otherwise the connection is broken.
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize>;

    /// Writes as many bytes as the connection takes, and returns their number.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if it takes none; otherwise the connection is broken.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Polls for input. If pending, wakes the task when bytes may have arrived.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Waits, without a read, until one would return the end of the input. Stays pending while bytes wait to be read. Cancel safe.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    fn end_of_input(&self) -> impl Future<Output = io::Result<()>>;

    /// Polls for room to write. If pending, wakes the task when some may be free.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the output; input can still be read.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    fn end_output(&self) -> io::Result<()>;
}

impl Transport for TcpStream {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        read_available(self, into)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Self::try_write(self, bytes)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }

    fn end_of_input(&self) -> impl Future<Output = io::Result<()>> {
        end_of_input(self)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn end_output(&self) -> io::Result<()> {
        rustix::net::shutdown(self, rustix::net::Shutdown::Write).map_err(Into::into)
    }
}
