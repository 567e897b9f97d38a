//! Reading a socket without asking twice.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Reads what has come. 0: the other side has ended its output.
///
/// A read that did not fill the buffer has emptied the socket. Told so, the runtime waits for more at once, which spares
/// the read that would find nothing: one system call of three in a session that asks and waits.
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] when nothing has come, or the connection is broken.
pub fn read_available(stream: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    let tried = stream.try_io(Interest::READABLE, || {
        read = recv(stream, &mut *into, RecvFlags::empty())?.0;
        if 0 < read && read < into.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    if read > 0 { Ok(read) } else { tried.map(|()| 0) }
}
