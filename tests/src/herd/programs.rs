//! Nodes that are started by another program than the binary under test, or with sockets.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output};

use super::Herd;
use crate::{Process, process};

impl Herd {
    /// Starts one node by another program than [`binary`](Self::binary), such as a copy of it, and waits until it accepts clients.
    ///
    /// # Panics
    ///
    /// If the node is not ready in time.
    #[must_use]
    #[track_caller]
    pub fn run_program(&self, program: &Path, node: &str) -> Process {
        let command = with_program(&self.command(&["run", node]), program, &[]);
        let mut process = Process::start(command, node, self.scratch.path(&format!("{node}.log")));
        process.await_line(&format!("{node} ready"));
        process
    }

    /// Starts one node by another program, with arguments of that before those of the node, and with additional settings. Waits until it
    /// accepts clients.
    ///
    /// # Panics
    ///
    /// If the node is not ready in time.
    #[must_use]
    #[track_caller]
    pub fn run_program_with(&self, program: &Path, before: &[&OsStr], node: &str, settings: &[&str]) -> Process {
        let mut command = with_program(&self.command(&["run", node]), program, before);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut process = Process::start(command, node, self.scratch.path(&format!("{node}.log")));
        process.await_line(&format!("{node} ready"));
        process
    }

    /// Runs a `herd` command through another program, such as `setpriv`, and returns its output. `before` precedes the arguments.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    #[must_use]
    #[track_caller]
    pub fn herd_through(&self, program: &Path, before: &[&OsStr], arguments: &[&str]) -> Output {
        let command = with_program(&self.command(arguments), program, before);
        process::output(command, &format!("herd {}", arguments.join(" ")))
    }

    /// Starts one node with a listening socket that is passed to it under a name, as systemd does, and does not wait.
    ///
    /// # Panics
    ///
    /// If the process does not start.
    #[must_use]
    pub fn run_with_socket(&self, node: &str, name: &str, listener: TcpListener) -> Process {
        // The shell has it as its input, and becomes the node.
        let passing =
            format!("exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES={name} exec \"$0\" \"$@\"");
        let herd = self.command(&["run", node]);
        let mut command = with_program(&herd, Path::new("sh"), &["-c".as_ref(), passing.as_ref(), herd.get_program()]);
        command.stdin(OwnedFd::from(listener));
        Process::start_reading(command, node, self.scratch.path(&format!("{node}.log")))
    }
}

/// Returns a command with another program, and with arguments before its own.
pub(super) fn with_program(command: &Command, program: &Path, before: &[&OsStr]) -> Command {
    let mut through = Command::new(program);
    through.args(before).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => through.env(name, value),
            None => through.env_remove(name),
        };
    }
    through
}
