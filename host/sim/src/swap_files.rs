//! Files of a simulated node about swaps: its state, and the guests that the state names. What `RolloutStore` is to a real node.
//!
//! A file is written beside its name, synced and renamed, as the real ones are. Bounds: the guests of a herd, and one write at a time.

use std::io;
use std::sync::Arc;

use herd_model::Digest;
use herd_rollout::{GuestDisk, PendingWrite, StoredState};
use herd_store::{Files, OpenFile, SimFiles};

/// Files of a process.
#[derive(Clone)]
pub(crate) struct SwapFiles(pub(crate) SimFiles);

impl SwapFiles {
    /// Reads the state. `None` without one.
    ///
    /// # Errors
    ///
    /// It is damaged.
    pub(crate) fn state(&self) -> Result<Option<StoredState>, String> {
        self.0.content(STATE).map(|bytes| StoredState::decode(&bytes)).transpose()
    }

    /// Writes guests and state. `later` adds a field to the state that this version does not know.
    pub(crate) fn write(&self, write: &PendingWrite, later: bool) -> io::Result<()> {
        for (digest, bytes) in &write.guests {
            if let Some(bytes) = bytes
                && self.read(*digest).is_none()
            {
                self.write_file(&name(*digest), bytes)?;
            }
        }
        let mut state = write.state.encode()?;
        if later {
            let start = state.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
            state.splice(start..start, *b"\"later\": {\"version\": [2]},");
        }
        self.write_file(STATE, &state)
    }

    fn write_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = format!("{name}.tmp");
        if self.0.content(&draft).is_some() {
            self.0.remove(&draft)?;
        }
        let file = self.0.create(&draft)?;
        file.append(bytes)?;
        file.sync()?;
        self.0.rename(&draft, name)?;
        self.0.sync_directory()
    }
}

impl GuestDisk for SwapFiles {
    fn read(&self, digest: Digest) -> Option<Arc<[u8]>> {
        self.0.content(&name(digest)).filter(|bytes| Digest::of(bytes) == digest).map(Into::into)
    }

    fn read_part(&self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)> {
        let bytes = self.0.content(&name(digest))?;
        let rest = bytes.get(usize::try_from(offset).ok()?..).unwrap_or_default();
        Some((bytes.len() as u64, rest[..rest.len().min(bytes_max).min(CHUNK_BYTES)].to_vec()))
    }
}

fn name(digest: Digest) -> String {
    format!("{digest}.wasm")
}

const STATE: &str = "state.json";
/// Bytes that are read at once, so that a guest takes several messages.
const CHUNK_BYTES: usize = 50;
