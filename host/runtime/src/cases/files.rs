//! Files of cases: `STATE/cases/NODE/NAME.herd`.
//!
//! Cases hold bytes of clients, so the directory is readable by its user alone. The name includes a hash of the input, so a
//! file that exists is not written again.
//!
//! Knows nothing of guests and transcripts.
//!
//! Bounds: the newest [`FILES_MAX`] files are kept, of at most [`FILE_BYTES_MAX`] each.

use std::io;
use std::path::{Path, PathBuf};

use herd_sys::{FileStore, file_name};

/// Directory with the cases of a node.
#[derive(Clone, Debug)]
pub(crate) struct CaseFiles {
    files: FileStore,
}

impl CaseFiles {
    /// Names the directory. It is made with the first case.
    pub(crate) fn new(directory: &Path, node: &str) -> Self {
        Self { files: FileStore::new(directory.join(file_name::of(node)), FILES_MAX) }
    }

    /// Writes a case, and returns its path; none if the file exists.
    ///
    /// # Errors
    ///
    /// The text is too long, or the disk fails. Other files stay.
    pub(crate) fn save(&self, name: &str, text: &str) -> io::Result<Option<PathBuf>> {
        if text.len() > FILE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("{} bytes, over the limit of {FILE_BYTES_MAX}", text.len()),
            ));
        }
        let path = self.files.path(name);
        if path.try_exists()? {
            return Ok(None);
        }
        self.files.write(name, &[text.as_bytes()])?;
        Ok(Some(path))
    }
}

/// More cases than a person reads at once.
pub(crate) const FILES_MAX: usize = 64;
/// The longest line, escaped, and its reply.
const FILE_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn case_files_write_a_name_once_and_for_their_user_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let files = CaseFiles::new(scratch.path(), "a/b");
        let path = files.save("x.herd", "first").unwrap().unwrap();
        assert_eq!(files.save("x.herd", "second").unwrap(), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(path, scratch.path().join("a%2fb").join("x.herd"));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        assert_eq!(names(path.parent().unwrap()), ["x.herd"]);
    }

    #[test]
    fn case_files_keep_the_newest() {
        let scratch = tempfile::tempdir().unwrap();
        let files = CaseFiles::new(scratch.path(), "Riley");
        for number in 0..FILES_MAX + 3 {
            let path = files.save(&format!("{number:03}"), "").unwrap().unwrap();
            let changed = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            std::fs::File::options().write(true).open(path).unwrap().set_modified(changed).unwrap();
        }
        files.save("last", "").unwrap();
        let names = names(&scratch.path().join("Riley"));
        assert_eq!((names.len(), &*names[0], &*names[FILES_MAX - 1]), (FILES_MAX, "004", "last"));
    }

    #[test]
    fn case_files_refuse_long_texts_and_report_a_directory_that_cannot_be_made() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("cases");
        let files = CaseFiles::new(&directory, "Riley");
        files.save("long", &"x".repeat(FILE_BYTES_MAX + 1)).unwrap_err();
        assert!(!directory.exists());
        std::fs::write(&directory, "a file in the place of the directory").unwrap();
        files.save("x", "x").unwrap_err();
    }
}
