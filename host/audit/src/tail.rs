//! The end of a file of lines, which the next append continues.
//!
//! Knows nothing about the head, so it cannot tell whether lines were cut off. Bounds: [`TAIL_BYTES`] are read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::head::Head;
use super::line::Line;

/// The end of one file.
pub(super) struct Tail {
    pub(super) path: PathBuf,
    /// Bytes up to and including the last newline.
    pub(super) length: u64,
    /// Bytes behind the last newline: an incomplete line, or none.
    pub(super) torn_bytes: u64,
    /// Number and hash of the last complete line, not verified; [`Head::NONE`] if the file has none.
    pub(super) last: Head,
}

impl Tail {
    /// Reads the end of a file. Returns `None` if the file ends with more bytes without a newline than a crash can leave.
    pub(super) fn read(path: PathBuf) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let mut file = File::open(&path)?;
        let file_bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(file_bytes.saturating_sub(TAIL_BYTES)))?;
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        let newline = bytes.iter().rposition(|&byte| byte == b'\n');
        if newline.is_none() && file_bytes > TAIL_BYTES {
            return Ok(None);
        }
        let (lines, torn) = bytes.split_at(newline.map_or(0, |newline| newline + 1));
        let line = lines.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|&byte| byte == b'\n').next());
        let last = line.and_then(Line::decode_unverified).map_or(Head::NONE, |(line, hash)| Head {
            count: line.number,
            hash,
            ..Head::NONE
        });
        let torn_bytes = torn.len() as u64;
        Ok(Some(Self { length: file_bytes - torn_bytes, torn_bytes, last, path }))
    }
}

/// Bytes read from the end of a file to find its last line, which has at most about 10 KiB.
const TAIL_BYTES: u64 = 64 << 10;
