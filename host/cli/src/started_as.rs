//! How this process was started: its file, its name and its arguments, with which a successor is started too.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Start of this process.
#[derive(Clone, Debug)]
pub(super) struct StartedAs {
    /// File of the program, by the name under which a new one will be put: a link is not followed.
    pub(super) program: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
}

impl StartedAs {
    /// Reads how this process was started. To be called at the start: later the file may have been replaced.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub(super) fn read() -> std::io::Result<Self> {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| "herd".into());
        let running = undeleted(&std::env::current_exe()?);
        let program = named(&name).filter(|path| is_same_file(path, &running)).unwrap_or(running);
        Ok(Self { program, name, arguments: arguments.collect() })
    }

    /// Returns the command that starts a program as this process was started.
    pub(super) fn successor(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(&self.arguments);
        if program == self.program || program == Path::new(RUNNING) {
            command.arg0(&self.name);
        }
        command
    }

    /// Returns the command that has a program check whether it could be started so.
    pub(super) fn check(&self, program: &Path) -> Command {
        let end = self.arguments.iter().position(|argument| argument == "--").unwrap_or(self.arguments.len());
        let (options, names) = self.arguments.split_at(end);
        let mut command = Command::new(program);
        command.args(options).arg("--check").args(names);
        command
    }
}

/// Returns the path that the first argument of a process means to a shell.
fn named(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name).ok();
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| path.metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
    file(one).is_some_and(|one| Some(one) == file(other))
}

/// Removes what the kernel adds to the path of a program whose file was replaced.
fn undeleted(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    OsString::from_vec(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes).to_vec()).into()
}

/// The program that this process runs, also if its file was replaced.
pub(super) const RUNNING: &str = "/proc/self/exe";
/// Variable with which a process tells the program that it becomes: empty, or why that is the old one.
pub(super) const SUCCESSION: &str = "HERD_SUCCESSION";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrade_checks_with_the_arguments_of_the_start() {
        let started = |arguments: &[&str]| StartedAs {
            program: "/opt/herd".into(),
            name: "herd".into(),
            arguments: arguments.iter().map(OsString::from).collect(),
        };
        let checked = |arguments: &[&str]| -> Vec<OsString> {
            started(arguments).check(Path::new("/opt/new")).get_args().map(Into::into).collect()
        };
        assert_eq!(checked(&["run", "Riley"]), ["run", "Riley", "--check"]);
        assert_eq!(
            checked(&["--log", "warn", "run", "--", "Riley"]),
            ["--log", "warn", "run", "--check", "--", "Riley"]
        );
        assert_eq!(undeleted(Path::new("/opt/herd (deleted)")), Path::new("/opt/herd"));
    }
}
