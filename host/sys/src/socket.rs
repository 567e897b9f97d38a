//! Socket reads that need one system call, what can be known of a connection without a read, and sockets for both families.

use std::io;
use std::os::fd::AsFd;

use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Waits until a read would return the end of the input: the other side has ended its output, and all of it was read. Reads nothing.
/// Stays pending while bytes wait to be read, whatever stands behind them. Cancel safe.
///
/// # Errors
///
/// The other side has reset the connection, which is noticed at any time.
pub async fn end_of_input(stream: &TcpStream) -> io::Result<()> {
    loop {
        if stream.ready(Interest::READABLE | Interest::ERROR).await?.is_error() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        match stream.try_io(Interest::READABLE, || Ok(recv(stream, &mut [0], RecvFlags::PEEK)?.0)) {
            Ok(0) => return Ok(()),
            Ok(_) => return reset(stream).await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits until the other side has reset the connection. Cancel safe.
///
/// # Errors
///
/// Always, once that is so.
pub(crate) async fn reset(stream: &TcpStream) -> io::Result<()> {
    stream.ready(Interest::ERROR).await?;
    Err(io::ErrorKind::ConnectionReset.into())
}

/// Reads the bytes that have arrived. Returns 0 once the other side has ended its output.
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] if no byte has arrived; otherwise the connection is broken.
pub fn read_available(stream: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    // A read that did not fill the buffer has emptied the socket. `WouldBlock` from the closure makes the runtime clear its
    // readiness at once, which saves the read that would find nothing: one of three system calls of a session that sends a
    // line and waits for the reply.
    let mut read = 0;
    let tried = stream.try_io(Interest::READABLE, || {
        read = recv(stream, &mut *into, RecvFlags::empty())?.0;
        if 0 < read && read < into.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    if read > 0 { Ok(read) } else { tried.map(|()| 0) }
}

/// Makes a socket for IPv6 take IPv4 as well once it is bound to `[::]`, whatever the default of the system is.
///
/// # Errors
///
/// The socket is not for IPv6, or bound already.
pub fn accept_both_families(socket: impl AsFd) -> io::Result<()> {
    Ok(set_ipv6_v6only(socket, false)?)
}
