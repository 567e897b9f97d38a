//! Guests on disk whose converters a node keeps, so that it keeps them over a restart.
//!
//! Knows nothing of conversions. Bounds: the guests that the node keeps; while one is written, [`FILES_MAX`].

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use herd_model::{Digest, SignedGuest};
use herd_sys::FileStore;

/// A directory of guests, each named after its digest, with its signatures beside it.
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
    pub(crate) fn read(&self) -> Vec<SignedGuest> {
        let mut files: Vec<(SystemTime, PathBuf, Digest)> = self.files().collect();
        files.sort();
        let read = |(_, path, digest): (SystemTime, PathBuf, Digest)| {
            let guest = std::fs::read(&path).ok()?;
            if Digest::of(&guest) != digest {
                tracing::warn!(node = %self.node, path = %path.display(), "stored guest is damaged and removed");
                let _ = std::fs::remove_file(&path);
                return None;
            }
            let signatures = std::fs::read(self.files.path(&signatures_name(digest))).ok();
            Some(SignedGuest { guest: guest.into(), signatures: signatures.map(Into::into) })
        };
        files.into_iter().filter_map(read).collect()
    }

    /// Writes a guest. A failure is logged: its records are unknown to other guests after the next restart.
    pub(crate) fn write(&self, digest: Digest, guest: &SignedGuest) {
        let name = format!("{digest}.{ENDING}");
        // The signatures first: a guest without them would be lost at the next start.
        let signed =
            guest.signatures.as_ref().map(|signatures| self.files.write(&signatures_name(digest), &[signatures]));
        let written = signed.unwrap_or(Ok(())).and_then(|()| self.files.write(&name, &[&guest.guest]));
        if let Err(error) = written {
            tracing::warn!(node = %self.node, path = %self.files.path(&name).display(), %error, "guest not stored; after a restart this node cannot convert its records");
        }
    }

    /// Removes the guests that are not among these.
    pub(crate) fn retain(&self, kept: &[Digest]) {
        for (_, path, digest) in self.files().filter(|(_, _, digest)| !kept.contains(digest)) {
            let _ = std::fs::remove_file(path);
            let _ = std::fs::remove_file(self.files.path(&signatures_name(digest)));
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

fn signatures_name(digest: Digest) -> String {
    format!("{digest}.minisig")
}

const ENDING: &str = "wasm";
/// Above what a node keeps, two files for each guest, with room for a draft: which guest goes is decided by the forms, and not by the age of
/// its file.
const FILES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use herd_model::GuestFiles;

    use super::*;

    #[test]
    fn forms_store_returns_guests_in_order_and_drops_damaged_ones() {
        let scratch = tempfile::tempdir().unwrap();
        let store = FormsStore::new(scratch.path(), "Riley");
        assert!(store.read().is_empty());
        let guests: [&[u8]; 3] = [b"one", b"two", b"three"];
        for (age, guest) in guests.iter().enumerate() {
            store.write(
                Digest::of(guest),
                &SignedGuest::from(GuestFiles { signatures: Some(b"signed"), ..GuestFiles::from(*guest) }),
            );
            let file =
                std::fs::File::options().append(true).open(store.files.path(&format!("{}.wasm", Digest::of(guest))));
            file.unwrap().set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64)).unwrap();
        }
        let read = || {
            store.read().into_iter().map(|guest| (guest.guest.to_vec(), guest.signatures.is_some())).collect::<Vec<_>>()
        };
        let signed = |guests: &[&[u8]]| guests.iter().map(|guest| (guest.to_vec(), true)).collect::<Vec<_>>();
        assert_eq!(read(), signed(&guests));
        assert!(FormsStore::new(scratch.path(), "Juzang").read().is_empty(), "nodes are apart");
        std::fs::write(store.files.path(&format!("{}.wasm", Digest::of(b"two"))), b"2").unwrap();
        assert_eq!(read(), signed(&[b"one".as_slice(), b"three"]));
        store.retain(&[Digest::of(b"three")]);
        assert_eq!(read(), signed(&[b"three".as_slice()]));
        let signatures = |guest: &[u8]| store.files.path(&signatures_name(Digest::of(guest))).exists();
        assert!(signatures(b"three") && !signatures(b"one"), "signatures go with their guest");
    }
}
