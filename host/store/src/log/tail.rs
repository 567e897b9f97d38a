//! The buffer of a log.

use crate::framing::{HEAD_BYTES, PAYLOAD_BYTES_MAX};

/// Entries that wait to be written.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) bytes: Vec<u8>,
    /// Position behind the last entry, dropped ones included.
    pub(super) position: u64,
    /// Entries are dropped, because the log has failed.
    pub(super) dropping: bool,
    pub(super) dropped: u64,
    pub(super) failure: Option<String>,
}

/// The entry was not taken: the log has failed with it.
#[derive(Debug)]
pub(super) struct Full;

impl Tail {
    /// Adds an entry, or drops it. The position behind it advances in any case.
    pub(super) fn append(&mut self, head: &[u8; HEAD_BYTES], payload: &[u8], bytes_max: usize) -> Result<(), Full> {
        let bytes = HEAD_BYTES + payload.len();
        self.position += bytes as u64;
        if self.dropping {
            self.dropped += 1;
            return Ok(());
        }
        if payload.len() > PAYLOAD_BYTES_MAX {
            self.drop_entries(&format!("an entry of {} bytes is too long", payload.len()));
        } else if self.bytes.len() + bytes > bytes_max {
            self.drop_entries(&format!("{} bytes of reports wait for the disk", self.bytes.len()));
        }
        if self.dropping {
            self.dropped += 1;
            return Err(Full);
        }
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(payload);
        Ok(())
    }

    /// Drops what waits, and whatever is appended from now on.
    pub(super) fn drop_entries(&mut self, why: &str) {
        self.dropping = true;
        self.bytes = Vec::new();
        self.failure = Some(why.into());
    }
}
