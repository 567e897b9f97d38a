//! A client's connection, as a session uses it: what a socket offers, and what a benchmark can offer without one.

use std::io;
use std::task::{Context, Poll};

use tokio::net::TcpStream;

use herd_sys::socket::read_available;

/// A connection. Nothing here waits: what is not ready says so, and the task asks when it will be.
pub(crate) trait Transport: 'static {
    /// Reads what has come. None has: [`io::ErrorKind::WouldBlock`]. 0: the client has ended its input.
    ///
    /// # Errors
    ///
    /// The connection is broken, or nothing has come.
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as there is room for, and says how much that was.
    ///
    /// # Errors
    ///
    /// The connection is broken, or there is no room.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether there may be something to read; wakes the task when there is.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether there may be room to write; wakes the task when there is.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the output.
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

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn end_output(&self) -> io::Result<()> {
        rustix::net::shutdown(self, rustix::net::Shutdown::Write).map_err(Into::into)
    }
}
