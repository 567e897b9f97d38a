//! The cases of a node on disk: `STATE/cases/NODE/NAME.herd`.
//!
//! They hold what clients sent, so the directory is for its user alone. A file of a name that is there says the same and is
//! not written again.
//!
//! Bounds: the newest [`FILES_MAX`] files are kept, of at most [`FILE_BYTES_MAX`] each.

use std::io;
use std::path::{Path, PathBuf};

use herd_sys::FileStore;
use herd_sys::file_name;

/// The directory of a node.
#[derive(Clone, Debug)]
pub(crate) struct CaseFiles {
    files: FileStore,
}

impl CaseFiles {
    /// Names the directory, and does not look whether it is there.
    pub(crate) fn new(directory: &Path, node: &str) -> Self {
        Self { files: FileStore::new(directory.join(file_name::of(node)), FILES_MAX) }
    }

    /// Keeps a case. None if it is there already.
    ///
    /// # Errors
    ///
    /// It is too long, or the disk fails. What was there is still there.
    pub(crate) fn save(&self, name: &str, text: &str) -> io::Result<Option<PathBuf>> {
        if text.len() > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{} bytes are too many", text.len())));
        }
        let path = self.files.path(name);
        if path.try_exists()? {
            return Ok(None);
        }
        self.files.write(name, &[text.as_bytes()])?;
        Ok(Some(path))
    }
}

/// More than anybody reads at once.
const FILES_MAX: usize = 64;
/// A line of the longest, escaped, and its answer.
const FILE_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("herd-cases-{:016x}", rand::random::<u64>())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_case_is_kept_once_and_for_its_user_alone() {
        let scratch = Scratch::new();
        let files = CaseFiles::new(&scratch.0, "a/b");
        let path = files.save("x.herd", "first").unwrap().unwrap();
        assert_eq!(files.save("x.herd", "second").unwrap(), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(path, scratch.0.join("a%2fb").join("x.herd"));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        assert_eq!(names(path.parent().unwrap()), ["x.herd"]);
    }

    #[test]
    fn the_newest_are_kept() {
        let scratch = Scratch::new();
        let files = CaseFiles::new(&scratch.0, "Riley");
        for number in 0..FILES_MAX + 3 {
            let path = files.save(&format!("{number:03}"), "").unwrap().unwrap();
            let changed = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            std::fs::File::options().write(true).open(path).unwrap().set_modified(changed).unwrap();
        }
        files.save("last", "").unwrap();
        let names = names(&scratch.0.join("Riley"));
        assert_eq!((names.len(), &*names[0], &*names[FILES_MAX - 1]), (FILES_MAX, "004", "last"));
    }

    #[test]
    fn what_is_too_long_and_where_nobody_can_write_is_an_error() {
        let scratch = Scratch::new();
        let files = CaseFiles::new(&scratch.0, "Riley");
        files.save("long", &"x".repeat(FILE_BYTES_MAX + 1)).unwrap_err();
        assert!(!scratch.0.exists());
        std::fs::write(&scratch.0, "a file in the place of the directory").unwrap();
        files.save("x", "x").unwrap_err();
        std::fs::remove_file(&scratch.0).unwrap();
    }
}
