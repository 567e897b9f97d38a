//! A TLS connection over a TCP socket, whose operations never wait.
//!
//! The same for both sides. It offers what a plain socket does: reads of what has arrived, writes of what goes out, readiness. A caller
//! therefore runs both in one task, and a slow peer is back pressure in the same way.
//!
//! An input that ends without the closing alert of TLS is an error: anybody on the way can cut a connection, and half a line
//! must not pass for a whole one. Renegotiation does not exist in rustls.
//!
//! Owns the socket and the state of TLS. Knows nothing of certificates; its caller makes the [`Connection`]. Bounds: bytes of a
//! handshake, which the caller passes; one record of output ([`RECORD_BYTES`]).

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read, Write};
use std::task::{Context, Poll};

use rustls::{Connection, IoState};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::socket::{read_available, reset};

/// A TLS connection after its handshake. One task uses it.
pub struct TlsSocket {
    tcp: TcpStream,
    /// Boxed: a plain connection beside it in an enum must not take as much memory.
    tls: Box<RefCell<Connection>>,
    /// Bytes of the caller that are encrypted and not reported as written, because the socket has not taken all of them.
    held: Cell<usize>,
}

/// A [`TlsSocket`] between two runtimes.
pub struct DetachedTlsSocket {
    tcp: std::net::TcpStream,
    tls: Box<RefCell<Connection>>,
}

impl TlsSocket {
    /// Performs the handshake. Has no timeout. `bytes_max`: bytes that the peer may send in it.
    ///
    /// # Errors
    ///
    /// The connection is broken, the peer sent more than it may, or the handshake failed: then the error is of the kind
    /// [`io::ErrorKind::InvalidData`], its source is a [`rustls::Error`], and the peer was told. The connection is lost.
    ///
    /// Cancel safe: the connection is closed.
    pub async fn handshake(tcp: TcpStream, mut tls: Connection, bytes_max: usize) -> io::Result<Self> {
        let mut received = 0;
        loop {
            while tls.wants_write() {
                match tls.write_tls(&mut Socket(&tcp)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => tcp.writable().await?,
                    written => {
                        written?;
                    }
                }
            }
            if !tls.is_handshaking() {
                return Ok(Self { tcp, tls: Box::new(RefCell::new(tls)), held: Cell::new(0) });
            }
            match tls.read_tls(&mut Socket(&tcp)) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => received += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tcp.readable().await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            if received > bytes_max {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the handshake is too long"));
            }
            process(&mut tls, &tcp)?;
        }
    }

    /// Reads bytes that have arrived. Returns 0 once the peer has ended its output.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if no byte has arrived; otherwise the connection is broken, also by an end without notice.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let tls = &mut *self.tls.borrow_mut();
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(&mut Socket(&self.tcp))? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            process(tls, &self.tcp)?;
            // What TLS itself has to say, such as new keys. If the socket is full, the next write takes it along.
            match flush(tls, &self.tcp) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }

    /// Writes as many bytes as the socket takes in one record, and returns their number. After [`io::ErrorKind::WouldBlock`], the next
    /// call has to begin with the same bytes: they may be encrypted already.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if the socket has not taken all of the record; otherwise the connection is broken.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let tls = &mut *self.tls.borrow_mut();
        flush(tls, &self.tcp)?;
        if self.held.get() == 0 {
            self.held.set(tls.writer().write(&bytes[..bytes.len().min(RECORD_BYTES)])?);
            flush(tls, &self.tcp)?;
        }
        // Reported only now: a caller with nothing left to write would not wait for the socket any more.
        Ok(self.held.take())
    }

    /// Polls for input. If pending, wakes the task when bytes may have arrived.
    ///
    /// # Errors
    ///
    /// The runtime is shutting down.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Bytes that are decrypted already, and the end of the input, do not make the socket readable.
        if self.tls.borrow().wants_read() { self.tcp.poll_read_ready(cx) } else { Poll::Ready(Ok(())) }
    }

    /// Waits until a read would return the end of the input, or fail: the peer has ended its output, and all of it was read. What arrives
    /// meanwhile is decrypted, at most one read of it, and stays to be read; then only a reset is noticed. Cancel safe.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub async fn end_of_input(&self) -> io::Result<()> {
        loop {
            if !self.tls.borrow().wants_read() {
                let state = process(&mut self.tls.borrow_mut(), &self.tcp)?;
                return if state.plaintext_bytes_to_read() == 0 { Ok(()) } else { reset(&self.tcp).await };
            }
            if self.tcp.ready(Interest::READABLE | Interest::ERROR).await?.is_error() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let tls = &mut *self.tls.borrow_mut();
            match tls.read_tls(&mut Socket(&self.tcp)) {
                // Without the closing alert, which a read reports.
                Ok(0) => return Ok(()),
                Ok(_) => {
                    process(tls, &self.tcp)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Polls for room to write. If pending, wakes the task when some may be free.
    ///
    /// # Errors
    ///
    /// The runtime is shutting down.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_write_ready(cx)
    }

    /// Ends the output, of which nothing may be left unwritten; input can still be read.
    ///
    /// # Errors
    ///
    /// The connection is broken. [`io::ErrorKind::WouldBlock`]: the socket has no room for the end; call it again.
    pub fn end_output(&self) -> io::Result<()> {
        let tls = &mut *self.tls.borrow_mut();
        tls.send_close_notify();
        // The alert has a few bytes. A socket that has no room for them belongs to a peer that does not read.
        flush(tls, &self.tcp)?;
        rustix::net::shutdown(&self.tcp, rustix::net::Shutdown::Write).map_err(Into::into)
    }

    /// Returns the socket, for its options.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Takes it from its runtime, to be attached to another one.
    ///
    /// # Errors
    ///
    /// The system refused; the connection is lost.
    pub fn detach(self) -> io::Result<DetachedTlsSocket> {
        Ok(DetachedTlsSocket { tcp: self.tcp.into_std()?, tls: self.tls })
    }
}

impl DetachedTlsSocket {
    /// Attaches it to the runtime that runs this.
    ///
    /// # Errors
    ///
    /// The system refused; the connection is lost.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn attach(self) -> io::Result<TlsSocket> {
        Ok(TlsSocket { tcp: TcpStream::from_std(self.tcp)?, tls: self.tls, held: Cell::new(0) })
    }
}

/// Processes what was read, and tells the peer if it is wrong.
fn process(tls: &mut Connection, tcp: &TcpStream) -> io::Result<IoState> {
    tls.process_new_packets().map_err(|error| {
        let _ = flush(tls, tcp);
        io::Error::new(io::ErrorKind::InvalidData, error)
    })
}

/// Writes all that is encrypted.
fn flush(tls: &mut Connection, tcp: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(&mut Socket(tcp))?;
    }
    Ok(())
}

/// The socket, as rustls reads and writes it.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_available(self.0, into)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes per record of output: the most that TLS allows.
const RECORD_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests;
