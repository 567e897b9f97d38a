//! Compiled guests on disk: a node that starts or swaps does not compile a guest twice.
//!
//! Owns the directory and the format of its files. Each is named after the digest of its guest and a hash of the engine it
//! was compiled for, and holds a checksum followed by machine code. The checksum detects damage by the disk; it is a fast one,
//! because a swap waits for it, and no protection against forgery. Machine code cannot be verified, and whoever can write here
//! runs code as this user. So the directory must belong to its user and be writable by nobody else, or it is not used. A file
//! that cannot be read is compiled again: a failing cache costs time only.
//!
//! Knows nothing of generations or nodes. Bounds: the newest [`FILES_MAX`] files.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use twox_hash::XxHash3_64;
use wasmtime::component::Component;

use herd_model::Digest;
use herd_sys::FileStore;

use crate::engine::code_target::CodeTarget;
use crate::engine::machine_code::engine_line;
use crate::sandbox::limits::Limits;

/// A directory of compiled guests.
#[derive(Debug)]
pub(crate) struct CodeCache {
    files: FileStore,
    /// Hash of the version and the settings of the engine, which machine code must match.
    compatibility: u64,
}

impl CodeCache {
    /// Opens a directory, or creates it.
    ///
    /// # Errors
    ///
    /// The directory cannot be created, belongs to another user, or is writable by others.
    pub(crate) fn open(
        directory: &Path,
        #[cfg_attr(not(feature = "compiler"), expect(unused_variables, reason = "the hash is one of the compiler"))]
        engine: &wasmtime::Engine,
        (target, limits): (&CodeTarget, Limits),
    ) -> io::Result<Self> {
        let files = FileStore::new(directory.into(), FILES_MAX);
        files.create_directory()?;
        let owner = rustix::process::geteuid().as_raw();
        let writable_by_others = |metadata: &Metadata| metadata.mode() & 0o022 != 0 || metadata.uid() != owner;
        // Checked once, here: only the owner of a directory that nobody else can write to can replace a file in it later.
        if writable_by_others(&std::fs::metadata(files.directory())?) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "other users can write to it"));
        }
        // The default hasher is stable within one build of this program. Another build finds no file and compiles again.
        let mut hasher = DefaultHasher::new();
        (engine_line(limits), target.to_string()).hash(&mut hasher);
        #[cfg(feature = "compiler")]
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { files, compatibility: hasher.finish() })
    }

    /// Loads the code of a guest. None if no intact file holds it.
    pub(crate) fn find(&self, engine: &wasmtime::Engine, guest: Digest) -> Option<Component> {
        let path = self.files.path(&self.name(guest));
        let bytes = std::fs::read(&path).ok()?;
        let (stored, code) = bytes.split_first_chunk()?;
        if *stored != checksum(code) {
            tracing::warn!(path = %path.display(), "cached code is damaged; the guest is compiled again");
            return None;
        }
        // SAFETY: these bytes are the output of `serialize` below. They are intact, which the checksum shows; they were compiled
        // for this engine, which the name says and wasmtime checks; and only this user can have written them, which `open`
        // checked. They are read into memory rather than mapped, so a later write to the file cannot change running code.
        #[allow(unsafe_code, reason = "machine code cannot be verified; its origin can")]
        let component = unsafe { Component::deserialize(engine, code) };
        component.inspect_err(|error| tracing::warn!(path = %path.display(), %error, "cached code does not load")).ok()
    }

    /// Writes the code of a guest. A failure is logged and changes nothing else.
    pub(crate) fn insert(&self, guest: Digest, component: &Component) {
        let name = self.name(guest);
        let written = component.serialize().map_err(io::Error::other);
        let written = written.and_then(|code| self.files.write(&name, &[&checksum(&code), &code]));
        if let Err(error) = written {
            tracing::warn!(path = %self.files.path(&name).display(), %error, "compiled code was not cached");
        }
    }

    fn name(&self, guest: Digest) -> String {
        format!("{guest}-{:016x}.code", self.compatibility)
    }
}

fn checksum(code: &[u8]) -> [u8; 8] {
    XxHash3_64::oneshot(code).to_le_bytes()
}

/// Guests that an author swaps to in a day of work; about 700 KiB each.
const FILES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::engine::code_target::Reservation;

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

    fn open(scratch: &Scratch, engine: &wasmtime::Engine) -> io::Result<CodeCache> {
        let target = CodeTarget::of_this_machine(Reservation::Large);
        CodeCache::open(&scratch.0, engine, (&target, Limits::default()))
    }

    fn guest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    #[test]
    fn code_cache_finds_inserted_code_and_rejects_damaged_code() {
        let (scratch, engine) = (Scratch::new(), engine());
        let cache = open(&scratch, &engine).unwrap();
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
    fn code_cache_ignores_code_for_another_engine() {
        let (scratch, plain) = (Scratch::new(), engine());
        let cache = open(&scratch, &plain).unwrap();
        cache.insert(guest(1), &Component::new(&plain, b"\0asm\x0d\0\x01\0").unwrap());
        let other = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert!(open(&scratch, &other).unwrap().find(&other, guest(1)).is_none());
    }

    #[test]
    fn code_cache_refuses_a_directory_that_others_can_write_to() {
        let scratch = Scratch::new();
        std::fs::create_dir(&scratch.0).unwrap();
        std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(open(&scratch, &engine()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn code_cache_keeps_the_newest_files() {
        let (scratch, engine) = (Scratch::new(), engine());
        let cache = open(&scratch, &engine).unwrap();
        let component = Component::new(&engine, b"\0asm\x0d\0\x01\0").unwrap();
        for number in 0..40 {
            cache.insert(guest(number), &component);
        }
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), FILES_MAX);
        assert!(cache.find(&engine, guest(39)).is_some());
    }
}
