//! Exchange: one request and its answer on a connection.
//!
//! Owns the framing of answers and their limits. Deadlines are the caller's.

use std::io;
use std::net::SocketAddr;

use herd_client::stream::NodeStream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::error::ClientError;

/// Request and answer in progress.
pub(super) struct Exchange {
    pub(super) addr: SocketAddr,
    pub(super) stream: BufReader<NodeStream>,
}

impl Exchange {
    pub(super) async fn send(&mut self, line: &str) -> Result<(), ClientError> {
        // One write for line and newline, so that they leave in one packet.
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.stream.write_all(&bytes).await.map_err(|source| self.failed(source))
    }

    /// Reads the first line of the answer.
    pub(super) async fn line(&mut self) -> Result<String, ClientError> {
        let mut line = Vec::new();
        self.read_line("reply line", REPLY_LINE_BYTES_MAX, &mut line).await?;
        line.pop();
        self.text(line)
    }

    /// Reads the JSON of a `WHATSAT`, which an empty line ends.
    pub(super) async fn json(&mut self) -> Result<String, ClientError> {
        let mut json = Vec::new();
        loop {
            let start = json.len();
            self.read_line("JSON", JSON_BYTES_MAX, &mut json).await?;
            if json.len() == start + 1 {
                json.truncate(start.saturating_sub(1));
                return self.text(json);
            }
        }
    }

    /// Appends a line with its newline to `bytes`, up to `bytes_max` bytes in total.
    async fn read_line(
        &mut self,
        part: &'static str,
        bytes_max: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), ClientError> {
        let addr = self.addr;
        let room = bytes_max.saturating_sub(bytes.len());
        let mut limited = (&mut self.stream).take(room as u64);
        let read = limited.read_until(b'\n', bytes).await.map_err(|source| self.failed(source))?;
        if read > 0 && bytes.last() == Some(&b'\n') {
            Ok(())
        } else if read == room {
            Err(ClientError::TooLong { addr, part, bytes_max })
        } else if bytes.is_empty() && part == "reply line" {
            Err(ClientError::Closed { addr })
        } else {
            Err(ClientError::CutShort { addr })
        }
    }

    /// Converts an error. A reset counts as a close, because it means that the node was gone before it read the request.
    fn failed(&self, source: io::Error) -> ClientError {
        let addr = self.addr;
        match source.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ClientError::Closed { addr },
            _ => ClientError::Io { addr, source },
        }
    }

    fn text(&self, bytes: Vec<u8>) -> Result<String, ClientError> {
        String::from_utf8(bytes).map_err(|_| ClientError::NotText { addr: self.addr })
    }
}

/// Twice the largest command (64 KiB), because a reply line contains the command.
pub(super) const REPLY_LINE_BYTES_MAX: usize = 128 * 1024;

/// Twenty places are about 60 KiB; 4 MiB leaves room for sources with more detail.
pub(super) const JSON_BYTES_MAX: usize = 4 * 1024 * 1024;
