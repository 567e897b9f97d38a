//! Compiled guests on disk: a node that starts or swaps does not compile a guest twice.
//!
//! Owns the directory, the key, and the format of the files. Machine code cannot be verified, and whoever writes it decides what this process
//! does; so a file counts only with a MAC under a key of the node, over its name as well, which is the digest of the guest and a hash of
//! the engine. A file that was changed, renamed, or copied from another node is compiled anew, and said. So is one whose [origin](CodeOrigin),
//! which is under the MAC too, the configuration trusts no more: a node that compiles runs its own code only. Files are opened relative to the
//! directory that was checked at the start, never changed in place, and read into memory rather than mapped.
//!
//! The key is in a file beside the directory, for the owner alone. Whoever can read that file is this user, and needs no cache.
//!
//! Knows nothing of generations or nodes. Bounds: the [`FILES_MAX`] files used last, of [`FILE_BYTES_MAX`] bytes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use wasmtime::component::Component;

use herd_model::{Digest, MacKey};
use herd_sys::{HeldDirectory, create_atomically, file_bytes_max, private_file};

use crate::engine::code_origin::{CodeOrigin, CodeTrust};
use crate::engine::code_target::CodeTarget;
use crate::engine::machine_code::engine_line;
use crate::sandbox::limits::Limits;

/// A directory of compiled guests.
#[derive(Debug)]
pub(crate) struct CodeCache {
    files: HeldDirectory,
    /// For messages.
    path: PathBuf,
    key: MacKey,
    /// Hash of the version and the settings of the engine, which machine code must match.
    compatibility: u64,
}

impl CodeCache {
    /// Opens a directory, or creates it, and its key beside it.
    ///
    /// # Errors
    ///
    /// The directory cannot be created, belongs to another user, or is writable by others; or the key cannot be read.
    pub(crate) fn open(
        directory: &Path,
        #[cfg_attr(not(feature = "compiler"), expect(unused_variables, reason = "the hash is one of the compiler"))]
        engine: &wasmtime::Engine,
        (target, limits): (&CodeTarget, Limits),
    ) -> io::Result<Self> {
        let files = HeldDirectory::open(directory, FILES_MAX)?;
        let key = key(&directory.with_added_extension("key"))?;
        // The default hasher is stable within one build of this program. Another build finds no file and compiles again.
        let mut hasher = DefaultHasher::new();
        (engine_line(limits), target.to_string()).hash(&mut hasher);
        #[cfg(feature = "compiler")]
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { files, path: directory.into(), key, compatibility: hasher.finish() })
    }

    /// Loads the code of a guest, and says where it is from. None if this node has written none, or not what is there, or does not trust its
    /// origin.
    pub(crate) fn find(
        &self,
        engine: &wasmtime::Engine,
        guest: Digest,
        trust: &CodeTrust,
    ) -> Option<(Component, CodeOrigin)> {
        let name = self.name(guest);
        let refused = |why: &dyn std::fmt::Display| {
            tracing::warn!(path = %self.path.join(&name).display(), %why, "cached code of a guest is not used");
        };
        let bytes = match self.files.read(&name, FILE_BYTES_MAX.min(file_bytes_max(COPIES))) {
            Ok(found) => found?,
            Err(error) => {
                refused(&error);
                return None;
            }
        };
        let (mac, content) = bytes.split_at_checked(MAC_BYTES).unwrap_or_default();
        if !self.key.verifies_parts(&[name.as_bytes(), content], mac) {
            refused(&"this node did not write it, or it was changed since");
            return None;
        }
        // Before the code is looked at: whoever made it may be the reason for which a key or a compiler was taken out.
        let Some((origin, code)) = CodeOrigin::parse(content) else {
            refused(&"it does not say where it is from");
            return None;
        };
        if !trust.accepts(&origin) {
            refused(&format_args!("{origin}, which the configuration does not trust for it"));
            return None;
        }
        // SAFETY: these bytes are the output of `serialize` below, in this or an earlier process of the node, for this guest and an engine of
        // these settings: the MAC shows it, whose key only this user can read. They are in memory, so a later write to the file cannot
        // change running code.
        #[allow(unsafe_code, reason = "machine code cannot be verified; its origin can")]
        let component = unsafe { Component::deserialize(engine, code) };
        component.inspect_err(|error| refused(error)).ok().map(|component| (component, origin))
    }

    /// Writes the code of a guest. A failure is logged and changes nothing else.
    pub(crate) fn insert(&self, guest: Digest, component: &Component, origin: &CodeOrigin) {
        let name = self.name(guest);
        let written = component.serialize().map_err(io::Error::other).and_then(|code| {
            let line = origin.line();
            let mac = self.key.mac_of(&[name.as_bytes(), line.as_bytes(), &code]);
            self.files.write(&name, &[&mac, line.as_bytes(), &code])
        });
        if let Err(error) = written {
            tracing::warn!(path = %self.path.join(&name).display(), %error, "compiled code was not cached");
        }
    }

    fn name(&self, guest: Digest) -> String {
        format!("{guest}-{:016x}.code", self.compatibility)
    }
}

/// Reads the key of the cache, or makes it. Of several processes that start at once, all have the key of the first.
fn key(path: &Path) -> io::Result<MacKey> {
    let read = || private_file::read(path, KEY_BYTES_MAX);
    let content = match read() {
        Err(private_file::FileError::Missing(_)) => {
            let draft = path.with_added_extension(format!("{:016x}", rand::random::<u64>()));
            create_atomically(path, &draft, &[MacKey::new(rand::random()).digits().as_bytes(), b"\n"])?;
            read()
        }
        content => content,
    };
    let content = content.map_err(io::Error::other)?;
    let digits = std::str::from_utf8(&content).ok().map(str::trim_end);
    let key = digits.and_then(MacKey::from_digits);
    key.ok_or_else(|| io::Error::other(format!("{} contains no key; remove it, and another is made", path.display())))
}

/// Guests that an author swaps to in a day of work; about 700 KiB each.
const FILES_MAX: usize = 32;
/// Bytes of a file: the code of a guest in Python has some 60 MiB.
const FILE_BYTES_MAX: usize = 256 << 20;
/// Copies of a file in memory while it is loaded: its bytes, and the code that the engine makes of them.
const COPIES: u64 = 2;
const MAC_BYTES: usize = 32;
/// Bytes read of the key file, which has 65.
const KEY_BYTES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
            let _ = std::fs::remove_file(self.0.with_added_extension("key"));
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

    fn component(engine: &wasmtime::Engine) -> Component {
        Component::new(engine, b"\0asm\x0d\0\x01\0").unwrap()
    }

    fn path(cache: &CodeCache, number: u8) -> PathBuf {
        cache.path.join(cache.name(guest(number)))
    }

    /// Goal: no change of a file, however small, is loaded as code. Method: each byte of a prefix, the last one, and the length.
    #[test]
    fn code_cache_finds_inserted_code_and_nothing_that_was_changed() {
        let (scratch, engine) = (Scratch::new(), engine());
        let cache = open(&scratch, &engine).unwrap();
        assert!(cache.find(&engine, guest(1), &CodeTrust::default()).is_none());
        cache.insert(guest(1), &component(&engine), &CodeOrigin::Own);
        assert!(cache.find(&engine, guest(1), &CodeTrust::default()).is_some());
        let path = path(&cache, 1);
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len().min(100)).chain([bytes.len() - 1]) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert!(cache.find(&engine, guest(1), &CodeTrust::default()).is_none(), "byte {at}");
        }
        for length in [0, 31, 32, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(cache.find(&engine, guest(1), &CodeTrust::default()).is_none(), "{length} bytes");
        }
        std::fs::write(&path, bytes).unwrap();
        assert!(cache.find(&engine, guest(1), &CodeTrust::default()).is_some());
    }

    #[test]
    fn code_cache_finds_no_code_of_another_guest_or_another_node() {
        let (scratch, other, engine) = (Scratch::new(), Scratch::new(), engine());
        let (cache, of_another_node) = (open(&scratch, &engine).unwrap(), open(&other, &engine).unwrap());
        cache.insert(guest(1), &component(&engine), &CodeOrigin::Own);
        std::fs::copy(path(&cache, 1), path(&cache, 2)).unwrap();
        assert!(
            cache.find(&engine, guest(2), &CodeTrust::default()).is_none(),
            "code of guest 1 under the name of guest 2"
        );
        std::fs::copy(path(&cache, 1), path(&of_another_node, 1)).unwrap();
        assert!(
            of_another_node.find(&engine, guest(1), &CodeTrust::default()).is_none(),
            "code that another node wrote"
        );
        let again = open(&scratch, &engine).unwrap();
        assert!(again.find(&engine, guest(1), &CodeTrust::default()).is_some(), "after a restart");
    }

    #[test]
    fn code_cache_finds_no_code_whose_origin_is_trusted_no_more() {
        let (scratch, engine) = (Scratch::new(), engine());
        let cache = open(&scratch, &engine).unwrap();
        let riley = CodeTrust { compilers: vec!["Riley".into()], ..CodeTrust::default() };
        let by_riley = CodeOrigin::Compiler("Riley".into());
        cache.insert(guest(1), &component(&engine), &by_riley);
        let found = |trust: &CodeTrust| cache.find(&engine, guest(1), trust).map(|(_, origin)| origin);
        assert_eq!(found(&riley), Some(by_riley));
        assert_eq!(found(&CodeTrust::default()), None, "it is no compiler any more, or the node compiles by itself");
        cache.insert(guest(1), &component(&engine), &CodeOrigin::Own);
        assert_eq!(found(&CodeTrust::default()), Some(CodeOrigin::Own));
    }

    #[test]
    fn code_cache_without_a_private_key_is_not_used() {
        let (scratch, engine) = (Scratch::new(), engine());
        open(&scratch, &engine).unwrap();
        let key = scratch.0.with_added_extension("key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = open(&scratch, &engine).unwrap_err().to_string();
        assert!(refused.contains("readable by other users"), "{refused}");
        std::fs::remove_file(&key).unwrap();
        std::fs::write(&key, "short").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let refused = open(&scratch, &engine).unwrap_err().to_string();
        assert!(refused.contains("contains no key; remove it"), "{refused}");
    }

    #[test]
    fn code_cache_ignores_code_for_another_engine() {
        let (scratch, plain) = (Scratch::new(), engine());
        let cache = open(&scratch, &plain).unwrap();
        cache.insert(guest(1), &component(&plain), &CodeOrigin::Own);
        let other = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert!(open(&scratch, &other).unwrap().find(&other, guest(1), &CodeTrust::default()).is_none());
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
            cache.insert(guest(number), &component, &CodeOrigin::Own);
        }
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), FILES_MAX);
        assert!(cache.find(&engine, guest(39), &CodeTrust::default()).is_some());
    }
}
