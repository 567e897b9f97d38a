//! Compiled guests on disk, so that a node starts and swaps without compiling what it has compiled before.
//!
//! A file is named after the digest of its guest and what it was compiled for, and holds the checksum of what follows and
//! then machine code. The checksum finds what a disk has damaged, and is quick, because a swap waits for it. Machine code is believed: whoever can write here can run anything as this user. So the directory
//! belongs to its user alone, or it is not used. What cannot be read is compiled anew; a cache that fails costs time only.
//!
//! Bounds: the newest [`FILES_MAX`] files are kept.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use twox_hash::XxHash3_64;
use wasmtime::component::Component;

use herd_model::Digest;
use herd_sys::KeptFiles;

/// A directory of compiled guests.
#[derive(Debug)]
pub(crate) struct CodeCache {
    files: KeptFiles,
    /// What code must have been compiled for: the version and the settings of the engine.
    compatibility: u64,
}

impl CodeCache {
    /// Opens a directory, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be made, or others than its owner may write to it.
    pub(crate) fn open(directory: &Path, engine: &wasmtime::Engine) -> io::Result<Self> {
        let files = KeptFiles::new(directory.into(), FILES_MAX);
        files.make()?;
        let owner = rustix::process::geteuid().as_raw();
        let writable_by_others = |metadata: &Metadata| metadata.mode() & 0o022 != 0 || metadata.uid() != owner;
        if writable_by_others(&std::fs::metadata(files.directory())?) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may write to it"));
        }
        // Of one build of this program the hasher is always the same one; another build compiles anew at worst.
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { files, compatibility: hasher.finish() })
    }

    /// The code of a guest, if it is there.
    pub(crate) fn find(&self, engine: &wasmtime::Engine, guest: Digest) -> Option<Component> {
        let path = self.files.path(&self.name(guest));
        let bytes = std::fs::read(&path).ok()?;
        let (stored, code) = bytes.split_first_chunk()?;
        if *stored != checksum(code) {
            tracing::warn!(path = %path.display(), "a file of compiled code is damaged; the guest is compiled anew");
            return None;
        }
        // SAFETY: the code came from `serialize` below: it is whole, as its checksum shows, it was compiled for this engine,
        // as its name shows and wasmtime checks, and only this user can have written it, as `open` has checked.
        #[allow(unsafe_code, reason = "machine code cannot be checked; its origin can")]
        let component = unsafe { Component::deserialize(engine, code) };
        component
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "compiled code does not load"))
            .ok()
    }

    /// Keeps the code of a guest. That it cannot is said in the log and changes nothing else.
    pub(crate) fn insert(&self, guest: Digest, component: &Component) {
        let name = self.name(guest);
        let written = component.serialize().map_err(io::Error::other);
        let written = written.and_then(|code| self.files.write(&name, &[&checksum(&code), &code]));
        if let Err(error) = written {
            tracing::warn!(path = %self.files.path(&name).display(), %error, "compiled code was not kept");
        }
    }

    fn name(&self, guest: Digest) -> String {
        format!("{guest}-{:016x}.code", self.compatibility)
    }
}

fn checksum(code: &[u8]) -> [u8; 8] {
    XxHash3_64::oneshot(code).to_le_bytes()
}

/// Some 700 KiB each.
const FILES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("herd-code-{:016x}", rand::random::<u64>())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn engine() -> wasmtime::Engine {
        wasmtime::Engine::default()
    }

    fn guest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    #[test]
    fn code_that_was_kept_is_found_and_damaged_code_is_not() {
        let (scratch, engine) = (Scratch::new(), engine());
        let cache = CodeCache::open(&scratch.0, &engine).unwrap();
        assert!(cache.find(&engine, guest(1)).is_none());
        let component = Component::new(&engine, b"\0asm\x0d\0\x01\0").unwrap();
        cache.insert(guest(1), &component);
        assert!(cache.find(&engine, guest(1)).is_some());
        let path = cache.files.path(&cache.name(guest(1)));
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(cache.find(&engine, guest(1)).is_none());
    }

    #[test]
    fn code_for_another_engine_is_not_found() {
        let (scratch, plain) = (Scratch::new(), engine());
        let cache = CodeCache::open(&scratch.0, &plain).unwrap();
        cache.insert(guest(1), &Component::new(&plain, b"\0asm\x0d\0\x01\0").unwrap());
        let other = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert!(CodeCache::open(&scratch.0, &other).unwrap().find(&other, guest(1)).is_none());
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_not_used() {
        let scratch = Scratch::new();
        std::fs::create_dir(&scratch.0).unwrap();
        std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(CodeCache::open(&scratch.0, &engine()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn the_newest_files_are_kept() {
        let (scratch, engine) = (Scratch::new(), engine());
        let cache = CodeCache::open(&scratch.0, &engine).unwrap();
        let component = Component::new(&engine, b"\0asm\x0d\0\x01\0").unwrap();
        for number in 0..40 {
            cache.insert(guest(number), &component);
        }
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), FILES_MAX);
        assert!(cache.find(&engine, guest(39)).is_some());
    }
}
