//! A blocking client of the line protocol.
//!
//! Checks nothing about the content of replies; tests do. Reads and writes are bounded by [`WAIT_MAX`].

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use crate::WAIT_MAX;

/// A connection of a client. Reads and writes are bounded by [`WAIT_MAX`].
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    ///
    /// If the connection is refused.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// Connects, and returns the error if that fails.
    ///
    /// # Errors
    ///
    /// The connection is refused or times out.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, WAIT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    ///
    /// If the connection is broken, or the node takes nothing for [`WAIT_MAX`].
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.get_mut().write_all(bytes.as_ref());
        sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
    }

    /// Sends a line and returns one line of answer, both without newline.
    ///
    /// # Panics
    ///
    /// If no answer comes.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.line()
    }

    /// Sends a `WHATSAT` and returns the `AT` line and the JSON, or the single line of an answer without JSON.
    ///
    /// # Panics
    ///
    /// If no answer comes, or it is malformed.
    #[track_caller]
    pub fn ask_places(&mut self, line: &str) -> (String, Option<Value>) {
        let first = self.ask(line);
        if !first.starts_with("AT ") {
            return (first, None);
        }
        let json = self.json();
        let value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        (first, Some(value))
    }

    /// Reads the next line, without newline. Bytes that are not UTF-8 are replaced.
    ///
    /// # Panics
    ///
    /// If no line comes.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let line = self.line_bytes();
        String::from_utf8_lossy(&line[..line.len() - 1]).into_owned()
    }

    /// Reads the next line, without newline, and returns the error if none comes.
    ///
    /// # Errors
    ///
    /// The connection ended or broke, or nothing came in time.
    pub fn try_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end_matches('\n').into()),
        }
    }

    /// Duplicates the handle of the connection, to send and receive at the same time.
    ///
    /// # Panics
    ///
    /// If the system is out of file descriptors.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            stream: BufReader::new(self.stream.get_ref().try_clone().expect("the system has file descriptors left")),
        }
    }

    /// Reads the next line unchanged, with its newline.
    ///
    /// # Panics
    ///
    /// If no line comes.
    #[track_caller]
    pub fn line_bytes(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\n") => line,
            Ok(_) => panic!("the node closed the connection after {:?}", String::from_utf8_lossy(&line)),
            Err(error) => panic!("no line from the node, only {:?}: {error}", String::from_utf8_lossy(&line)),
        }
    }

    /// Reads the JSON that follows an `AT` line, up to the empty line.
    ///
    /// # Panics
    ///
    /// If it does not come.
    #[track_caller]
    pub fn json(&mut self) -> String {
        let mut json = String::new();
        loop {
            match self.line() {
                line if line.is_empty() => return json,
                line => json = json + &line + "\n",
            }
        }
    }

    /// Reads exactly `count` bytes.
    ///
    /// # Panics
    ///
    /// If fewer come.
    #[track_caller]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => panic!("the node closed the connection after {:?}", String::from_utf8_lossy(&bytes[..filled])),
                Ok(read) => filled += read,
                Err(error) => panic!("{error}, after {:?}", String::from_utf8_lossy(&bytes[..filled])),
            }
        }
        bytes
    }

    /// Half-closes the connection. Replies still arrive.
    ///
    /// # Panics
    ///
    /// If the connection is broken.
    #[track_caller]
    pub fn end(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// Reads everything up to the end of the node's output.
    ///
    /// # Panics
    ///
    /// If the node does not end its output, or breaks the connection.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = self.stream.read_to_end(&mut rest);
        read.unwrap_or_else(|error| panic!("the output does not end: {error}, after {rest:?}"));
        rest
    }

    /// Returns whether the node has ended the connection by now. Does not wait.
    ///
    /// # Panics
    ///
    /// If the socket cannot be switched between blocking and non-blocking.
    #[must_use]
    pub fn is_cut_off_by_now(&mut self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).expect("a socket can be made non-blocking");
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).expect("a socket can be made blocking");
        match peeked {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Sends the same bytes repeatedly until the node takes none for a second, or has taken `most` bytes. Returns the number of
    /// bytes taken.
    ///
    /// # Panics
    ///
    /// If the connection breaks.
    pub fn send_until_refused(&mut self, bytes: &[u8], most: usize) -> usize {
        let stream = self.stream.get_mut();
        stream.set_write_timeout(Some(std::time::Duration::from_secs(1))).expect("a socket takes a timeout");
        let mut taken = 0;
        while taken < most {
            match stream.write(bytes) {
                Ok(count) => taken += count,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                Err(error) => panic!("the connection broke: {error}"),
            }
        }
        taken
    }

    /// Waits for the next byte and returns whether the connection ended, in order or not, before one came.
    #[must_use]
    pub fn is_cut_off(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock && error.kind() != io::ErrorKind::TimedOut,
        }
    }
}
