//! A `herd` process: start, standard output, log, signals, memory and end.
//!
//! Knows nothing of herds or nodes. Waits are bounded by [`WAIT_MAX`]; signals go to the process's own id.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{WAIT_MAX, eventually};

/// A process that serves nodes. Killed on drop; if the test is failing, the end of its log is printed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    what: String,
    log: PathBuf,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a command that logs to a file. `what` names it in messages.
    ///
    /// # Panics
    ///
    /// If the command does not start.
    pub(crate) fn start(mut command: Command, what: &str, log: PathBuf) -> Self {
        command.stdin(Stdio::null());
        Self::start_reading(command, what, log)
    }

    /// Starts a command as [`start`](Self::start) does, with the standard input that it has.
    pub(crate) fn start_reading(mut command: Command, what: &str, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{what} does not start: {error}"));
        let stdout = child.stdout.take().expect("the output is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines();
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, what: what.into(), log, lines }
    }

    /// Starts a `herd` binary outside a planned [`Herd`](crate::Herd) and discards its log.
    ///
    /// # Panics
    ///
    /// If the binary does not start.
    #[must_use]
    pub fn of(binary: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary);
        command.args(arguments);
        Self::start(command, "herd", "/dev/null".into())
    }

    /// Waits for a line on standard output and skips the lines before it.
    ///
    /// # Panics
    ///
    /// If the process ends first, or after [`WAIT_MAX`].
    #[track_caller]
    pub fn await_line(&mut self, wanted: &str) {
        loop {
            match self.lines.recv_timeout(WAIT_MAX) {
                Ok(line) if line == wanted => return,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("{} did not print `{wanted}` in time", self.what),
                Err(RecvTimeoutError::Disconnected) => panic!("{} ended before it printed `{wanted}`", self.what),
            }
        }
    }

    /// Waits for the next line on standard output.
    ///
    /// # Panics
    ///
    /// If no line comes.
    #[track_caller]
    pub fn next_line(&mut self) -> String {
        self.lines.recv_timeout(WAIT_MAX).unwrap_or_else(|error| panic!("{} printed no line: {error}", self.what))
    }

    /// Process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory.
    ///
    /// # Panics
    ///
    /// If the system does not report it.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/statm", self.id())).expect("a process that runs has one");
        let pages: usize =
            status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second is a number");
        pages * rustix::param::page_size()
    }

    /// Number of open files.
    ///
    /// # Panics
    ///
    /// If the system does not report it.
    #[must_use]
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("a process that runs has files").count()
    }

    /// Processor time, in nanoseconds, of the running threads whose name begins with `name`. Threads that have ended are not
    /// counted.
    ///
    /// # Panics
    ///
    /// If the system does not report it.
    #[must_use]
    pub fn processor_ns(&self, name: &str) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("a process that runs has threads");
        let of_task = |task: PathBuf| {
            let is_named = std::fs::read_to_string(task.join("comm")).ok()?.starts_with(name);
            let spent = std::fs::read_to_string(task.join("schedstat")).ok().filter(|_| is_named)?;
            spent.split(' ').next()?.parse::<u64>().ok()
        };
        tasks.filter_map(|task| of_task(task.ok()?.path())).sum()
    }

    /// Sends SIGTERM: the process drains and exits.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGINT, as ctrl-c does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends SIGSTOP: the process does nothing any more; its connections stay open.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Sends SIGCONT: the process goes on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends SIGKILL and waits until the process has ended.
    ///
    /// # Panics
    ///
    /// If the process does not end.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of our own can be killed");
        self.child.wait().expect("a process that was killed ends");
    }

    /// Waits until the process ends by itself, and returns its status.
    ///
    /// # Panics
    ///
    /// If it does not end within [`WAIT_MAX`].
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        eventually(&format!("the end of {}", self.what), || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".into()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Returns whether the process still runs.
    ///
    /// # Panics
    ///
    /// If the system does not report it.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a process of our own can be asked for").is_none()
    }

    /// The log so far, including that of earlier processes with the same log file.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// Waits until a line of the log contains all of these words, and returns that line.
    ///
    /// # Panics
    ///
    /// If no such line comes.
    #[track_caller]
    pub fn await_log(&self, words: &[&str]) -> String {
        eventually(&format!("a line with {words:?} in the log of {}", self.what), || {
            let log = self.log();
            let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
            log.lines().find(has_all).map(Into::into).ok_or_else(|| "there is none".into())
        })
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).unwrap_or_else(|error| panic!("{} cannot be signalled: {error}", self.what));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("--- the log of {}, last {} of {} lines", self.what, last.len(), lines.len());
            last.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Runs a command to its end and returns its output.
///
/// # Panics
///
/// If the command does not start, or does not end within [`WAIT_MAX`]; then it is killed.
#[track_caller]
pub(crate) fn output(command: Command, what: &str) -> Output {
    output_within(WAIT_MAX, command, what)
}

/// Runs a command to its end within a time and returns its output.
///
/// # Panics
///
/// If the command does not start, or does not end in time; then it is killed.
#[track_caller]
pub(crate) fn output_within(time: Duration, mut command: Command, what: &str) -> Output {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = spawned.unwrap_or_else(|error| panic!("{what} does not start: {error}"));
    let id = Pid::from_child(&child);
    let (sender, ended) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match ended.recv_timeout(time) {
        Ok(output) => output.unwrap_or_else(|error| panic!("{what}: {error}")),
        Err(_) => {
            // The thread has not reaped the child, so the id cannot belong to another process yet.
            let _ = kill_process(id, Signal::KILL);
            panic!("{what} does not end")
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

const LINES_SHOWN: usize = 40;
