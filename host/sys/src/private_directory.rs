//! Directories that only their owner may enter.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Creates a directory for its owner alone, unless it exists. Others may pass those above it, if the process lets them: the members of
/// `admin.group` pass the state directory, whoever makes it first.
///
/// # Errors
///
/// One of the directories cannot be created. Those above it may exist now.
pub fn create_private_directory(directory: &Path) -> io::Result<()> {
    if let Some(above) = directory.parent().filter(|above| !above.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o755).create(above)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn private_directory_leaves_those_above_it_open() {
        let scratch = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let (above, usual) = (scratch.path().join("state"), scratch.path().join("usual"));
        std::fs::create_dir(&usual).unwrap();
        for _ in 0..2 {
            create_private_directory(&above.join("identity")).unwrap();
            assert_eq!((mode(&above.join("identity")), mode(&above)), (0o700, mode(&usual)));
        }
    }
}
