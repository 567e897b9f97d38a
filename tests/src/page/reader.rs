//! Reader of a page: types its commands in their order.
//!
//! Bounds: [`WAIT_MAX`] for a command, ten times that without output for a build, and what the caller says for a program that serves.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Action, Ports, Step, is_shown};
use crate::WAIT_MAX;

/// Reader of a page: types its commands into a shell, and keeps a program that serves running as in a terminal of its own.
pub struct Reader {
    setting: Setting,
    shell: Child,
    input: ChildStdin,
    output: Receiver<String>,
    serving: Option<Serving>,
}

/// Place in which a page is read.
pub struct Setting {
    /// Directory in which commands are typed.
    pub directory: PathBuf,
    /// Additional variables of the environment.
    pub environment: Vec<(String, String)>,
    /// Addresses in place of those of the page.
    pub ports: Ports,
    /// Limit of time until a program that serves has printed what the page shows.
    pub serving_max: Duration,
}

/// Program that serves until it is interrupted.
struct Serving {
    child: Child,
    lines: Receiver<String>,
}

impl Reader {
    /// Starts a shell.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        let mut shell = shell(&setting, &["--norc"]).process_group(0).spawn().expect("bash is installed");
        let mut input = shell.stdin.take().expect("it is piped");
        input.write_all(b"exec 2>&1\n").expect("the shell reads");
        let output = lines(shell.stdout.take().expect("it is piped"));
        Self { setting, shell, input, output, serving: None }
    }

    /// Does one step.
    ///
    /// # Errors
    ///
    /// The output differs. The text has the output as shown, and the one that came instead.
    pub fn follow(&mut self, step: &Step) -> Result<(), String> {
        let (output, holds) = match &step.action {
            Action::Write { name, text } => {
                let path = self.setting.directory.join(name);
                let written = std::fs::write(&path, self.setting.ports.to_ours(text));
                return written.map_err(|error| format!("line {}: {}: {error}", step.line, path.display()));
            }
            Action::Interrupt => self.interrupt(step)?,
            Action::Type(command) if is_serving(command) => self.serve(command, step)?,
            Action::Type(command) => self.run(command, step)?,
        };
        if holds {
            return Ok(());
        }
        let what = match &step.action {
            Action::Type(command) => command,
            _ => "^C",
        };
        Err(format!(
            "line {}: {what}\n--- shown\n{}\n--- printed\n{}\n",
            step.line,
            step.output.join("\n"),
            output.join("\n")
        ))
    }

    /// Types a command into the shell and waits for its end. A question is repeated until its answer is as shown: a person types more
    /// slowly than reports travel and nodes start.
    fn run(&mut self, command: &str, step: &Step) -> Result<(Vec<String>, bool), String> {
        let until = Instant::now() + WAIT_MAX;
        // A build may be silent for as long as its slowest crate takes.
        let silence_max = if command.starts_with("cargo ") { WAIT_MAX * 10 } else { WAIT_MAX };
        loop {
            let typed = self.setting.ports.to_ours(command);
            let line = format!("{{ {typed}\n}} </dev/null; printf '\\n{END}%s\\n' $?\n");
            self.input.write_all(line.as_bytes()).map_err(|error| error.to_string())?;
            let mut output = vec![];
            let status = loop {
                match self.output.recv_timeout(silence_max) {
                    Ok(line) => match line.strip_prefix(END) {
                        Some(status) => break status.to_string(),
                        None => output.push(self.setting.ports.to_shown(&line)),
                    },
                    Err(_) => {
                        return Err(format!("line {}: {command}: does not end\n{}", step.line, output.join("\n")));
                    }
                }
            };
            // The end mark begins with a newline, in case that the output does not end with one.
            if output.last().is_some_and(String::is_empty) {
                output.pop();
            }
            if status != "0" {
                output.push(format!("(exit code {status})"));
            }
            let holds = status == "0" && is_shown(&step.output, &output);
            if holds || !QUESTIONS.iter().any(|question| command.starts_with(question)) || Instant::now() >= until {
                return Ok((output, holds));
            }
        }
    }

    fn serve(&mut self, command: &str, step: &Step) -> Result<(Vec<String>, bool), String> {
        if self.serving.is_some() {
            return Err(format!("line {}: {command}: another program still runs; show ^C before it", step.line));
        }
        let typed = self.setting.ports.to_ours(command);
        let mut process = shell(&self.setting, &["--norc", "-c", &format!("exec 2>&1; exec {typed}")]);
        let mut child = process.process_group(0).spawn().map_err(|error| error.to_string())?;
        let lines = lines(child.stdout.take().expect("it is piped"));
        let serving = self.serving.insert(Serving { child, lines });
        let mut output = vec![];
        let until = Instant::now() + self.setting.serving_max;
        while !is_shown(&step.output, &output) {
            match serving.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => output.push(self.setting.ports.to_shown(&line)),
                Err(_) => return Ok((output, false)),
            }
        }
        Ok((output, true))
    }

    fn interrupt(&mut self, step: &Step) -> Result<(Vec<String>, bool), String> {
        let Some(mut serving) = self.serving.take() else {
            return Err(format!("line {}: ^C, but no program runs", step.line));
        };
        serving.signal(Signal::INT);
        let mut output = vec![];
        loop {
            match serving.lines.recv_timeout(WAIT_MAX) {
                Ok(line) => output.push(self.setting.ports.to_shown(&line)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("line {}: ^C: the program does not end", step.line));
                }
            }
        }
        let ended = serving.child.wait().map_err(|error| error.to_string())?;
        if !ended.success() {
            output.push(format!("({ended})"));
        }
        let holds = ended.success() && is_shown(&step.output, &output);
        Ok((output, holds))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // With what still runs in its background.
        let _ = kill_process_group(Pid::from_child(&self.shell), Signal::KILL);
        let _ = self.shell.wait();
    }
}

impl Serving {
    /// Signals the program and those that it started, as a terminal does.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Returns whether a command runs until it is interrupted, and not in the background.
pub(super) fn is_serving(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    words.last() != Some(&"&") && words.windows(2).any(|pair| matches!(pair, ["herd" | "--", "up" | "run"]))
}

fn shell(setting: &Setting, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.args(arguments).current_dir(&setting.directory);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERD_")) {
        command.env_remove(name);
    }
    command.envs(setting.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    lines
}

/// Commands that change nothing, or, like a report that is sent again, nothing the second time.
const QUESTIONS: [&str; 8] = [
    "herd send",
    "herd status",
    "herd audit",
    "herd test",
    "herd trace",
    "herd canary report",
    "herd shadow report",
    "curl",
];

/// Mark after the output of a command, which no command prints.
const END: &str = "\u{1}end ";
