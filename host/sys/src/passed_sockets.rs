//! Listening sockets for the program that this process becomes.
//!
//! The process keeps its id, its arguments and its streams, so a supervisor and a shell notice nothing. Connections that come meanwhile
//! wait in the queues of the sockets. Every other descriptor is closed, and locks go with them. Bound: the sockets that are passed.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::fcntl_dupfd_cloexec;

use crate::inherited_sockets::{FIRST, NAMES};

/// Sockets with their names, outside the numbers at which they are passed.
#[derive(Debug)]
pub struct PassedSockets {
    names: String,
    sockets: Vec<OwnedFd>,
}

impl PassedSockets {
    /// Collects sockets, each under its [name](crate::socket_name).
    ///
    /// # Errors
    ///
    /// The process is out of descriptors. The sockets are closed.
    pub fn new(named: Vec<(String, OwnedFd)>) -> io::Result<Self> {
        let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(":");
        // Above the numbers at which they are passed, so that none is overwritten before it is moved, also at a second attempt.
        let above = number(FIRST + named.len())?;
        let sockets = named.iter().map(|(_, socket)| fcntl_dupfd_cloexec(socket, above).map_err(io::Error::from));
        Ok(Self { names, sockets: sockets.collect::<Result<_, _>>()? })
    }

    /// Becomes another program, which [`InheritedSockets`](crate::InheritedSockets) takes the sockets from, and returns only if that fails.
    ///
    /// What has the numbers from 3 on is closed also then, so the process can only try another program, or end. Its threads
    /// should have ended.
    pub fn become_program(&self, command: &mut Command) -> io::Error {
        for (index, socket) in self.sockets.iter().enumerate() {
            let moved = number(FIRST + index).and_then(|to| inheritable(socket.as_raw_fd(), to));
            if let Err(error) = moved {
                return error;
            }
        }
        command
            .env("LISTEN_FDS", self.sockets.len().to_string())
            .env("LISTEN_PID", std::process::id().to_string())
            .env(NAMES, &self.names)
            .exec()
    }
}

/// Duplicates a descriptor to a number, without the flag that closes it when the process becomes another program.
fn inheritable(from: RawFd, to: RawFd) -> io::Result<()> {
    #[allow(unsafe_code, reason = "no safe function overwrites a descriptor that it does not own")]
    // SAFETY: both are numbers, and no memory is involved. The owner of `to`, if there is one, finds another file under its number; the
    // caller has ended what could use it, and ends itself.
    let duplicated = unsafe { libc::dup2(from, to) };
    if duplicated < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn number(number: usize) -> io::Result<RawFd> {
    RawFd::try_from(number).map_err(io::Error::other)
}
