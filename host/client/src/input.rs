//! Input of a connection: bytes that have arrived, cut into lines and JSON.
//!
//! Bounds: [`LINE_BYTES_MAX`], [`JSON_BYTES_MAX`].

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::NodeFailure;

/// Bytes that have arrived and are not cut yet.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: BytesMut,
    /// Bytes at the start that have no end of what is awaited.
    scanned: usize,
}

impl Input {
    /// Reads what has arrived, or waits for it. Cancel safe: nothing is lost.
    ///
    /// # Errors
    ///
    /// The connection broke or ended.
    pub(crate) async fn read(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> Result<(), NodeFailure> {
        self.bytes.reserve(READ_BYTES);
        match reader.read_buf(&mut self.bytes).await {
            Ok(0) => Err(NodeFailure::Closed),
            Ok(_) => Ok(()),
            // The node was gone before it had read everything.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Err(NodeFailure::Closed),
            Err(error) => Err(NodeFailure::Io(error)),
        }
    }

    /// Returns the next line without its end, if it is there.
    pub(crate) fn line(&mut self) -> Result<Option<String>, NodeFailure> {
        let found = memchr::memchr(b'\n', &self.bytes[self.scanned..]);
        self.cut(found, b"\n", LINE_BYTES_MAX)
    }

    /// Returns the text before the next empty line, if that is there.
    pub(crate) fn json(&mut self) -> Result<Option<String>, NodeFailure> {
        let found = memchr::memmem::find(&self.bytes[self.scanned..], b"\n\n");
        self.cut(found, b"\n\n", JSON_BYTES_MAX)
    }

    /// Cuts the input before `end`, which was found so many bytes after what was scanned.
    fn cut(&mut self, found: Option<usize>, end: &[u8], bytes_max: usize) -> Result<Option<String>, NodeFailure> {
        let length = found.map(|at| self.scanned + at);
        if length.unwrap_or(self.bytes.len()) > bytes_max {
            return Err(NodeFailure::TooLong { bytes_max });
        }
        let Some(length) = length else {
            // All but the last byte of an end may have arrived.
            self.scanned = (self.bytes.len() + 1).saturating_sub(end.len());
            return Ok(None);
        };
        self.scanned = 0;
        let cut = self.bytes.split_to(length + end.len());
        match std::str::from_utf8(&cut[..length]) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(NodeFailure::Unexpected(start_of(&String::from_utf8_lossy(&cut[..length])))),
        }
    }
}

/// First characters of a text for an error, such as an answer by which the kind of server is recognized.
pub(crate) fn start_of(text: &str) -> String {
    text.chars().take(CHARS_SHOWN).collect()
}

const CHARS_SHOWN: usize = 60;
/// Room for a read: some two hundred answers.
const READ_BYTES: usize = 16 << 10;
/// Twice the longest command (64 KiB), because an answer contains the command.
pub(crate) const LINE_BYTES_MAX: usize = 128 << 10;
/// Twenty places are about 60 KiB; 4 MiB leaves room for sources with more detail.
pub(crate) const JSON_BYTES_MAX: usize = 4 << 20;
