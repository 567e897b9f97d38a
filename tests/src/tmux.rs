//! Command in a terminal of a given size, by tmux: what it shows, and what it leaves behind.
//!
//! Each has a tmux server of its own, which ends with it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::eventually;
use crate::scratch::Scratch;

/// Terminal in which a command runs, and after it a shell that tells the modes of the terminal.
#[derive(Debug)]
pub struct Tmux {
    program: PathBuf,
    scratch: Scratch,
}

impl Tmux {
    /// Starts a command in a terminal of this many columns and lines. After the command come `ended` with its exit code, and the modes.
    ///
    /// # Panics
    ///
    /// If tmux does not start.
    #[must_use]
    pub fn start(program: &Path, (columns, lines): (u16, u16), command: &Command) -> Self {
        let tmux = Self { program: program.into(), scratch: Scratch::new() };
        let quoted = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
        let mut script = String::new();
        for (name, value) in command.get_envs() {
            let _ = match value {
                Some(value) => writeln!(script, "export {}={}", name.to_string_lossy(), quoted(value)),
                None => writeln!(script, "unset {}", name.to_string_lossy()),
            };
        }
        let words: Vec<String> = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
        let pid = quoted(tmux.scratch.path("pid").as_os_str());
        let _ = writeln!(script, "sh -c 'echo $$ > \"$0\"; exec \"$@\"' {pid} {}", words.join(" "));
        let _ = writeln!(script, "echo \"ended $?\"; stty -a; exec cat");
        let script = tmux.scratch.write("command.sh", script);
        let size = [columns, lines].map(|size| size.to_string());
        let [columns, lines] = size.each_ref().map(String::as_str);
        let script = format!("sh {}", quoted(script.as_os_str()));
        tmux.run(&["new-session", "-d", "-x", columns, "-y", lines, "-s", "one", &script]);
        tmux
    }

    /// Returns the text that the terminal shows.
    #[must_use]
    pub fn screen(&self) -> String {
        self.run(&["capture-pane", "-p", "-t", "one"])
    }

    /// Returns the text that the terminal shows, with the escapes of its looks.
    #[must_use]
    pub fn screen_with_looks(&self) -> String {
        self.run(&["capture-pane", "-p", "-e", "-t", "one"])
    }

    /// Waits until the terminal shows a text, and returns all that it shows then.
    ///
    /// # Panics
    ///
    /// If it does not in [`WAIT_MAX`](crate::WAIT_MAX).
    #[track_caller]
    pub fn await_shown(&self, wanted: &str) -> String {
        eventually(wanted, || match self.screen() {
            screen if screen.contains(wanted) => Ok(screen),
            screen => Err(screen),
        })
    }

    /// Presses keys, by the names that tmux gives them, such as `q`, `Enter`, `Escape` and `C-c`.
    pub fn press(&self, keys: &[&str]) {
        self.run(&[&["send-keys", "-t", "one"], keys].concat());
    }

    /// Returns whether a program shows a screen of its own, in place of that of the shell.
    #[must_use]
    pub fn is_alternate(&self) -> bool {
        self.run(&["display-message", "-p", "-t", "one", "#{alternate_on}"]).trim() == "1"
    }

    /// Process id of the command.
    ///
    /// # Panics
    ///
    /// If it has not started.
    #[must_use]
    pub fn id(&self) -> u32 {
        let text = std::fs::read_to_string(self.scratch.path("pid")).expect("the command has started");
        text.trim().parse().expect("a shell writes its process id as a number")
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("tmux can be run");
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // `-u`: the terminal knows UTF-8, whatever the locale of the test is.
        command.arg("-u").arg("-S").arg(self.scratch.path("socket")).args(["-f", "/dev/null"]).args(arguments);
        command.env_remove("TMUX").env_remove("NO_COLOR");
        command
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).output();
    }
}
