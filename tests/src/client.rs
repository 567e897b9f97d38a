//! A client of the line protocol.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use crate::PATIENCE;

/// One connection. Reads and writes are bounded by [`PATIENCE`].
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// Connects if somebody listens there.
    ///
    /// # Errors
    ///
    /// Nobody does.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    ///
    /// When the node does not take them.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.get_mut().write_all(bytes.as_ref());
        sent.unwrap_or_else(|error| panic!("the node does not take what is sent: {error}"));
    }

    /// Sends a line and gives the line of the answer, both without their newlines.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.line()
    }

    /// Sends a `WHATSAT` and gives the AT line and the JSON, or the one line of an answer without.
    ///
    /// # Panics
    ///
    /// When there is no answer, or it has another form.
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

    /// The next line, without its newline. Bytes that are not UTF-8 are replaced.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let line = self.line_bytes();
        String::from_utf8_lossy(&line[..line.len() - 1]).into_owned()
    }

    /// The next line without its newline, if one comes.
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

    /// The same connection once more, to send and to receive at the same time.
    ///
    /// # Panics
    ///
    /// When the system is out of files.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self { stream: BufReader::new(self.stream.get_ref().try_clone().expect("there is room for a file")) }
    }

    /// The next line as it came, with its newline.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn line_bytes(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\n") => line,
            Ok(_) => panic!("the node closed behind {:?}", String::from_utf8_lossy(&line)),
            Err(error) => panic!("no line from the node, only {:?}: {error}", String::from_utf8_lossy(&line)),
        }
    }

    /// The JSON behind an AT line, up to the empty line.
    ///
    /// # Panics
    ///
    /// When it does not come.
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

    /// Exactly so many bytes.
    ///
    /// # Panics
    ///
    /// When fewer come.
    #[track_caller]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => panic!("the node closed behind {:?}", String::from_utf8_lossy(&bytes[..filled])),
                Ok(read) => filled += read,
                Err(error) => panic!("{error}, behind {:?}", String::from_utf8_lossy(&bytes[..filled])),
            }
        }
        bytes
    }

    /// Ends the input. Replies still come.
    ///
    /// # Panics
    ///
    /// When the connection is broken.
    #[track_caller]
    pub fn end(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).expect("the connection is whole");
    }

    /// Everything up to the end of the node's output.
    ///
    /// # Panics
    ///
    /// When the node does not end it, or breaks the connection.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = self.stream.read_to_end(&mut rest);
        read.unwrap_or_else(|error| panic!("the output does not end: {error}, behind {rest:?}"));
        rest
    }

    /// Whether the node has ended the connection by now. Does not wait.
    ///
    /// # Panics
    ///
    /// When the system does not say.
    #[must_use]
    pub fn is_cut_off_by_now(&mut self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).expect("a socket can be told not to wait");
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).expect("a socket can be told to wait");
        match peeked {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Sends the same bytes again and again until the node takes no more for a second, or has taken this many. Says how
    /// many were taken.
    ///
    /// # Panics
    ///
    /// When the connection breaks.
    pub fn send_until_refused(&mut self, bytes: &[u8], most: usize) -> usize {
        let stream = self.stream.get_mut();
        stream.set_write_timeout(Some(std::time::Duration::from_secs(1))).expect("a socket takes a time-out");
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

    /// Whether the connection ends, in order or not, without a byte more.
    #[must_use]
    pub fn is_cut_off(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock && error.kind() != io::ErrorKind::TimedOut,
        }
    }
}
