//! What a node remembers of swaps over a restart: the herd's generation, what it serves itself, and the bytes of both.
//!
//! A small file of JSON per node, and a directory of guests named by their digest, which is checked when one is read. What
//! cannot be read is as if it had never been there: the node starts with the guest of its configuration, and hears from a
//! peer what the herd has swapped to.
//!
//! Bounds: the guests that were swapped to last.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::protocol::herd_state::{HerdSwap, Standing};
use crate::protocol::participant::Shelf;
use herd_model::Digest;
use herd_sys::FileStore;

/// What survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// What the node knows of the herd's generation.
    pub standing: Standing,
    /// The swap of the herd that it has taken up or gone back from.
    pub applied: Option<HerdSwap>,
    /// The guest that decides.
    pub serving: Digest,
    /// The guest that decides what that one cannot.
    pub previous: Option<Digest>,
}

/// Where a node remembers.
#[derive(Clone, Debug)]
pub struct Memory {
    file: PathBuf,
    files: FileStore,
    guests: FileStore,
}

impl Memory {
    /// Of this node, in the directory for the state of its herd.
    #[must_use]
    pub fn new(state: &Path, node: &str) -> Self {
        let name = herd_sys::file_name::of(node);
        let directory = state.join(DIRECTORY);
        let files = FileStore::new(directory.clone(), usize::MAX);
        let guests = FileStore::new(directory.join(&name), GUESTS_MAX);
        Self { file: files.path(&format!("{name}.json")), files, guests }
    }

    /// What is remembered, if anything is.
    #[must_use]
    pub fn read(&self) -> Option<Remembered> {
        let bytes = std::fs::read(&self.file).ok()?;
        let read = serde_json::from_slice(&bytes);
        read.inspect_err(|error| {
            tracing::error!(path = %self.file.display(), %error, "what was swapped is forgotten: the file is damaged");
        })
        .ok()
    }

    /// Remembers, and the bytes of these guests if they are not there yet: those first, so that nothing is remembered that
    /// cannot be served.
    ///
    /// # Errors
    ///
    /// The disk fails. What was remembered before still is.
    pub(crate) fn write(&self, remembered: &Remembered, guests: &[(Digest, Arc<[u8]>)]) -> io::Result<()> {
        for (digest, guest) in guests {
            let name = name(*digest);
            let there = std::fs::File::options().append(true).open(self.guests.path(&name));
            // The newest are kept, so one that serves again is new again.
            if there.and_then(|file| file.set_modified(SystemTime::now())).is_err() {
                self.guests.write(&name, &[guest])?;
            }
        }
        let text = serde_json::to_vec_pretty(remembered).map_err(io::Error::other)?;
        let file = self.file.file_name().unwrap_or_default().to_string_lossy();
        self.files.write(&file, &[&text])
    }

    /// The bytes of a guest, if they are there and whole.
    #[must_use]
    pub fn guest(&self, digest: Digest) -> Option<Arc<[u8]>> {
        let path = self.guests.path(&name(digest));
        let bytes = std::fs::read(&path).ok()?;
        if Digest::of(&bytes) != digest {
            // Gone, it is written anew when it is there again.
            tracing::warn!(path = %path.display(), "a kept guest is damaged, and removed");
            let _ = std::fs::remove_file(&path);
            return None;
        }
        Some(bytes.into())
    }
}

fn name(digest: Digest) -> String {
    format!("{digest}.wasm")
}

/// The guests that are at hand: that of the configuration, those in memory for as long as they are wanted, and those on disk.
pub(crate) struct Guests {
    memory: Memory,
    configured: (Digest, Arc<[u8]>),
    held: Vec<(Digest, Arc<[u8]>)>,
}

impl Guests {
    pub(crate) fn new(memory: Memory, configured: Arc<[u8]>) -> Self {
        Self { memory, configured: (Digest::of(&configured), configured), held: Vec::new() }
    }
}

impl Shelf for Guests {
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>> {
        let at_hand = self.held.iter().chain([&self.configured]).find(|(held, _)| *held == digest);
        if let Some((_, guest)) = at_hand {
            return Some(Arc::clone(guest));
        }
        // A peer asks for it part by part, so it stays in memory for a while.
        let guest = self.memory.guest(digest)?;
        self.hold(digest, Arc::clone(&guest));
        Some(guest)
    }

    fn hold(&mut self, digest: Digest, bytes: Arc<[u8]>) {
        if !self.held.iter().any(|(held, _)| *held == digest) {
            self.held.push((digest, bytes));
        }
    }

    fn keep_only(&mut self, wanted: &[Digest]) {
        self.held.retain(|(held, _)| wanted.contains(held));
    }
}

/// In the directory of the herd.
const DIRECTORY: &str = "generations";
/// The one that serves, the one before, and some that a rollback may come back to.
const GUESTS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("herd-memory-{:016x}", rand::random::<u64>())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn guests(guest: &[u8]) -> [(Digest, Arc<[u8]>); 1] {
        [(Digest::of(guest), guest.into())]
    }

    fn remembered(guest: &[u8]) -> Remembered {
        Remembered { standing: Standing::default(), applied: None, serving: Digest::of(guest), previous: None }
    }

    #[test]
    fn what_is_written_is_remembered_with_its_guest_and_apart_for_each_node() {
        let scratch = Scratch::new();
        let memory = Memory::new(&scratch.0, "Riley");
        assert_eq!(memory.read(), None);
        memory.write(&remembered(b"one"), &guests(b"one")).unwrap();
        assert_eq!(memory.read(), Some(remembered(b"one")));
        assert_eq!(memory.guest(Digest::of(b"one")).as_deref(), Some(&b"one"[..]));
        let other = Memory::new(&scratch.0, "Juzang");
        assert_eq!((other.read(), other.guest(Digest::of(b"one"))), (None, None));
    }

    #[test]
    fn what_is_damaged_is_not_used() {
        let scratch = Scratch::new();
        let memory = Memory::new(&scratch.0, "Riley");
        memory.write(&remembered(b"one"), &guests(b"one")).unwrap();
        std::fs::write(memory.guests.path(&name(Digest::of(b"one"))), b"two").unwrap();
        assert_eq!(memory.guest(Digest::of(b"one")), None);
        memory.write(&remembered(b"one"), &guests(b"one")).unwrap();
        assert!(memory.guest(Digest::of(b"one")).is_some(), "and mended when it is there again");
        std::fs::write(&memory.file, b"{").unwrap();
        assert_eq!(memory.read(), None);
    }

    #[test]
    fn the_guests_that_served_last_are_kept() {
        let scratch = Scratch::new();
        let memory = Memory::new(&scratch.0, "Riley");
        for number in 0..20_u8 {
            for guest in [[number], [0]] {
                memory.write(&remembered(&guest), &guests(&guest)).unwrap();
            }
        }
        let kept = |number: u8| memory.guest(Digest::of(&[number])).is_some();
        assert!(kept(0) && kept(19) && kept(18) && !kept(1));
    }
}
