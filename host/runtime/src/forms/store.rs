//! Guests on disk whose converters a node keeps, so that it keeps them over a restart.
//!
//! Knows nothing of conversions. Bounds: the guests that the node keeps; while one is written, [`FILES_MAX`].

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use herd_model::Digest;
use herd_sys::FileStore;

/// A directory of guests, each named after its digest.
#[derive(Debug)]
pub(crate) struct FormsStore {
    node: String,
    files: FileStore,
}

impl FormsStore {
    /// Store of a node in a directory that nodes share. Touches no file.
    pub(crate) fn new(directory: &Path, node: &str) -> Self {
        let files = FileStore::new(directory.join(herd_sys::file_name::of(node)), FILES_MAX);
        Self { node: node.into(), files }
    }

    /// Reads the guests, in the order in which they were written. A damaged file is removed.
    pub(crate) fn read(&self) -> Vec<Vec<u8>> {
        let mut files: Vec<(SystemTime, PathBuf, Digest)> = self.files().collect();
        files.sort();
        let read = |(_, path, digest): (SystemTime, PathBuf, Digest)| {
            let guest = std::fs::read(&path).ok()?;
            if Digest::of(&guest) != digest {
                tracing::warn!(node = %self.node, path = %path.display(), "stored guest is damaged and removed");
                let _ = std::fs::remove_file(&path);
                return None;
            }
            Some(guest)
        };
        files.into_iter().filter_map(read).collect()
    }

    /// Writes a guest. A failure is logged: its records are unknown to other guests after the next restart.
    pub(crate) fn write(&self, digest: Digest, guest: &[u8]) {
        let name = format!("{digest}.{ENDING}");
        if let Err(error) = self.files.write(&name, &[guest]) {
            tracing::warn!(node = %self.node, path = %self.files.path(&name).display(), %error, "guest not stored; after a restart this node cannot convert its records");
        }
    }

    /// Removes the guests that are not among these.
    pub(crate) fn retain(&self, kept: &[Digest]) {
        for (_, path, _) in self.files().filter(|(_, _, digest)| !kept.contains(digest)) {
            let _ = std::fs::remove_file(path);
        }
    }

    fn files(&self) -> impl Iterator<Item = (SystemTime, PathBuf, Digest)> {
        let entries = std::fs::read_dir(self.files.directory()).into_iter().flatten();
        entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let digest = path.file_name()?.to_str()?.strip_suffix(ENDING)?.strip_suffix('.')?.parse().ok()?;
            Some((std::fs::metadata(&path).ok()?.modified().ok()?, path, digest))
        })
    }
}

const ENDING: &str = "wasm";
/// Above what a node keeps, with room for a draft: which guest goes is decided by the forms, and not by the age of its file.
const FILES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_store_returns_guests_in_order_and_drops_damaged_ones() {
        let scratch = tempfile::tempdir().unwrap();
        let store = FormsStore::new(scratch.path(), "Riley");
        assert!(store.read().is_empty());
        let guests: [&[u8]; 3] = [b"one", b"two", b"three"];
        for (age, guest) in guests.iter().enumerate() {
            store.write(Digest::of(guest), guest);
            let file =
                std::fs::File::options().append(true).open(store.files.path(&format!("{}.wasm", Digest::of(guest))));
            file.unwrap().set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64)).unwrap();
        }
        assert_eq!(store.read(), guests);
        assert!(FormsStore::new(scratch.path(), "Juzang").read().is_empty(), "nodes are apart");
        std::fs::write(store.files.path(&format!("{}.wasm", Digest::of(b"two"))), b"2").unwrap();
        assert_eq!(store.read(), [&b"one"[..], b"three"]);
        store.retain(&[Digest::of(b"three")]);
        assert_eq!(store.read(), [b"three"]);
    }
}
