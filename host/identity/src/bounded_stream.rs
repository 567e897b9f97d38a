//! Connection from which only so many bytes are read until its peer has proved who it is.
//!
//! rustls holds what it cannot use yet, such as the beginning of a long message. This bounds what a stranger can make a node hold.
//! Bound: [`HANDSHAKE_BYTES_MAX`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Connection with a limit on what is read, until the limit is lifted.
#[derive(Debug)]
pub struct BoundedStream<S> {
    inner: S,
    /// Bytes that may still be read; `None` once the peer has proved who it is.
    left: Option<usize>,
}

/// The peer sent more than a handshake takes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer sent more than {HANDSHAKE_BYTES_MAX} bytes and has not proved who it is")]
pub(crate) struct TooLarge;

impl<S> BoundedStream<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, left: Some(HANDSHAKE_BYTES_MAX) }
    }

    /// Lifts the limit.
    pub(crate) fn lift(&mut self) {
        self.left = None;
    }

    /// Returns the connection inside, for its addresses and options.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(left) = &mut this.left else { return Pin::new(&mut this.inner).poll_read(cx, buf) };
        if *left == 0 {
            return Poll::Ready(Err(io::Error::other(TooLarge)));
        }
        let room = buf.remaining().min(*left);
        let mut bounded = ReadBuf::new(buf.initialize_unfilled_to(room));
        std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, &mut bounded))?;
        let read = bounded.filled().len();
        buf.advance(read);
        *left -= read;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Bytes that are read from a peer before it has proved who it is. A handshake takes some 3 KiB, and 6 KiB with links of roll-overs
/// and names of the greatest length. 256 handshakes at once hold 8 MiB.
pub const HANDSHAKE_BYTES_MAX: usize = 32 << 10;
