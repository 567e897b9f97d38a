//! Calls of the C library that fail or change for one process: interpose.c, built when a test needs it.
//!
//! Works for processes that are linked dynamically, as cargo builds them on Linux with glibc; calls that a crate makes without
//! the C library are out of reach.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Scratch;

/// The built library, and the file that switches faults on.
#[derive(Debug)]
pub struct Interposer {
    library: PathBuf,
    fault: PathBuf,
}

/// Error that calls on files return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// No space left: writes and the creation of files fail.
    NoSpace,
    /// The device fails: writes and syncs fail.
    WriteError,
    /// The device fails when it has to write out what it took: only syncs fail.
    SyncError,
    /// The file system is read-only: writes and opening for writing fail.
    ReadOnly,
}

impl Interposer {
    /// Builds the library with the C compiler that also links Rust programs.
    ///
    /// # Errors
    ///
    /// No `cc` is there, or it fails.
    pub fn build(scratch: &Scratch) -> Result<Self> {
        let source = scratch.write("interpose.c", include_str!("interpose.c"));
        let library = scratch.path("interpose.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .context("cc, which also links Rust programs")?;
        ensure!(built.status.success(), "cc: {}", String::from_utf8_lossy(&built.stderr));
        Ok(Self { library, fault: scratch.path("fault") })
    }

    /// Variables of a process whose outgoing connections start at `source`, if there is one.
    #[must_use]
    pub fn variables(&self, source: Option<&str>) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut variables = vec![("LD_PRELOAD", path(&self.library)), ("HERD_TEST_FAULT", path(&self.fault))];
        variables.extend(source.map(|source| ("HERD_TEST_SOURCE", source.to_string())));
        variables
    }

    /// Lets calls on files below a path fail from now on, in every process with these variables.
    ///
    /// # Panics
    ///
    /// If the file for it cannot be written.
    pub fn fail(&self, fault: FileFault, below: &Path) {
        let (number, calls) = match fault {
            FileFault::NoSpace => (rustix::io::Errno::NOSPC, "wo"),
            FileFault::WriteError => (rustix::io::Errno::IO, "wtso"),
            FileFault::SyncError => (rustix::io::Errno::IO, "s"),
            FileFault::ReadOnly => (rustix::io::Errno::ROFS, "wto"),
        };
        let line = format!("{} {calls} {}\n", number.raw_os_error(), below.display());
        // In one step, or a process could read half a line.
        let new = self.fault.with_extension("new");
        let written = std::fs::write(&new, line).and_then(|()| std::fs::rename(&new, &self.fault));
        written.unwrap_or_else(|error| panic!("{}: {error}", self.fault.display()));
    }

    /// Ends the faults.
    pub fn mend(&self) {
        let _ = std::fs::remove_file(&self.fault);
    }
}
