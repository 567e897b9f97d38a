//! A host in a test: a current directory with a state directory of its own in it, so that the nodes of a herd share no file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::{Herd, Process, process};

/// Directory that stands for a host. All hosts of a herd have its configuration, and reach one another on loopback.
pub struct Host<'a> {
    herd: &'a Herd,
    directory: PathBuf,
}

impl<'a> Host<'a> {
    /// Makes a host.
    ///
    /// # Panics
    ///
    /// If the herd has one of this name.
    #[must_use]
    pub fn new(herd: &'a Herd, name: &str) -> Self {
        let directory = herd.scratch().path(name);
        fs::create_dir(&directory).expect("each host is made once");
        Self { herd, directory }
    }

    /// Current directory of commands.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Builds a `herd` command of this host, without starting it.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let state = format!("state_dir={}", self.directory.display());
        let mut command = self.herd.command(arguments);
        command.args(["--set", &state]).current_dir(&self.directory);
        command
    }

    /// Runs a command, given as one text, to its end.
    ///
    /// # Panics
    ///
    /// If it does not start or does not end.
    #[must_use]
    #[track_caller]
    pub fn runs(&self, arguments: &str) -> Output {
        let words: Vec<&str> = arguments.split(' ').collect();
        process::output(self.command(&words), &format!("herd {arguments}"))
    }

    /// Types a command, which has to succeed without a word of error, and returns what it prints.
    ///
    /// # Panics
    ///
    /// If it fails.
    #[track_caller]
    pub fn types(&self, arguments: &str) -> String {
        let output = self.runs(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "herd {arguments}: {errors}");
        String::from_utf8(output.stdout).expect("commands print text")
    }

    /// Types a command that prints JSON.
    ///
    /// # Panics
    ///
    /// If it fails, or prints something else.
    #[track_caller]
    pub fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.types(arguments)).expect("the command prints JSON")
    }

    /// Starts a node, and waits until it accepts clients.
    ///
    /// # Panics
    ///
    /// If it is not ready in time.
    #[must_use]
    #[track_caller]
    pub fn run(&self, node: &str) -> Process {
        let log = self.directory.join(format!("{node}.log"));
        let mut process = Process::start(self.command(&["run", node]), node, log);
        process.await_line(&format!("{node} ready"));
        process
    }

    /// Moves a file to another host.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn carry(&self, file: &str, to: &Self) {
        fs::rename(self.directory.join(file), to.directory.join(file)).expect("the file was made");
    }
}
