//! Socket reads that need one system call.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

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
