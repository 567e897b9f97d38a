//! Commands of a page of documentation, typed in its order, and the comparison of their output with what the page shows.
//!
//! Owns the notation of the page: blocks of the language `console` hold commands after `$ ` with their output below; a block
//! whose info string has a second word is the content of the file of that name; `^C` stops the program that still runs. In shown
//! output, `...` stands for any text, on a line of its own for any number of lines. A time with nine decimals equals any other,
//! and so does a digest in parentheses. A command without shown output prints nothing. No command fails.
//!
//! Bounds: [`WAIT_MAX`] for a command, and what the caller says for a program that serves.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::WAIT_MAX;
use crate::ports::HeldAddress;

/// Step of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number of its line, from 1.
    pub line: usize,
    /// Action of the reader.
    pub action: Action,
    /// Output as shown.
    pub output: Vec<String>,
}

/// Action of a reader at a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Writes a file.
    Write {
        /// Name of the file.
        name: String,
        /// Its content.
        text: String,
    },
    /// Types a command.
    Type(String),
    /// Stops the program that still runs.
    Interrupt,
}

/// Reads the steps of a page.
#[must_use]
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = vec![];
    let mut block: Option<&str> = None;
    for (line, number) in page.lines().zip(1..) {
        if let Some(info) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(info) };
            if let Some((_, name)) = block.and_then(|info| info.split_once(' ')) {
                let action = Action::Write { name: name.into(), text: String::new() };
                steps.push(Step { line: number, action, output: vec![] });
            }
            continue;
        }
        let Some(info) = block else { continue };
        let step = |action| Step { line: number, action, output: vec![] };
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (_, Some(Step { action: Action::Write { text, .. }, .. })) if info.contains(' ') => {
                text.push_str(line);
                text.push('\n');
            }
            _ if info != "console" => {}
            (Some(command), _) => steps.push(step(Action::Type(command.into()))),
            _ if line == "^C" => steps.push(step(Action::Interrupt)),
            (None, Some(last)) => last.output.push(line.into()),
            (None, None) => {}
        }
    }
    steps
}

/// Compares output with what the page shows.
#[must_use]
pub fn is_shown(shown: &[String], output: &[String]) -> bool {
    match shown.split_first() {
        None => output.is_empty(),
        Some((first, rest)) if first.trim() == ELISION => {
            (0..=output.len()).any(|skipped| is_shown(rest, &output[skipped..]))
        }
        Some((first, rest)) => {
            let Some((line, after)) = output.split_first() else { return false };
            is_like(&mask(first), &mask(line)) && is_shown(rest, after)
        }
    }
}

/// Compares one line, in which an elision stands for any text.
fn is_like(shown: &str, line: &str) -> bool {
    match shown.split_once(ELISION) {
        None => shown == line,
        Some((before, rest)) => line.strip_prefix(before).is_some_and(|line| {
            let starts = line.char_indices().map(|(start, _)| start).chain([line.len()]);
            starts.into_iter().any(|start| is_like(rest, &line[start..]))
        }),
    }
}

/// Replaces times with nine decimals and digests in parentheses, which differ from run to run.
fn mask(line: &str) -> String {
    let mut masked = String::new();
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let number = &rest[..rest.find(|c| !is_number(c)).unwrap_or(rest.len())];
        let decimals = number.split_once('.').map(|(_, decimals)| decimals.len());
        let digest = rest.get(1..9).filter(|digest| {
            first == '(' && rest[9..].starts_with(')') && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let (text, length) = match (decimals, digest) {
            (Some(9), _) => ("TIME", number.len()),
            (_, Some(_)) => ("(DIGEST)", 10),
            _ if number.is_empty() => (&rest[..first.len_utf8()], first.len_utf8()),
            _ => (number, number.len()),
        };
        masked.push_str(text);
        rest = &rest[length..];
    }
    masked.trim_end().into()
}

const ELISION: &str = "...";

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
        let mut shell = shell(&setting, &["--norc"]).spawn().expect("bash is installed");
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

    /// Types a command into the shell and waits for its end. A question about a report is repeated until the report has come to
    /// the node that is asked: a person types more slowly than it travels.
    fn run(&mut self, command: &str, step: &Step) -> Result<(Vec<String>, bool), String> {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let typed = self.setting.ports.to_ours(command);
            let line = format!("{{ {typed}\n}} </dev/null; printf '\\n{END}%s\\n' $?\n");
            self.input.write_all(line.as_bytes()).map_err(|error| error.to_string())?;
            let mut output = vec![];
            let status = loop {
                match self.output.recv_timeout(WAIT_MAX) {
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
            if holds || !command.starts_with("herd send") || Instant::now() >= until {
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
        let _ = self.shell.kill();
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

/// Returns whether a command runs until it is interrupted.
fn is_serving(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    words.windows(2).any(|pair| matches!(pair, ["herd" | "--", "up" | "run"]))
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

/// Mark after the output of a command, which no command prints.
const END: &str = "\u{1}end ";

/// Ports of the page, and those that are used in their place.
pub struct Ports {
    /// As `:15415`, with the address that is reserved for it.
    pairs: Vec<(String, HeldAddress)>,
}

impl Ports {
    /// The ports of the page themselves.
    #[must_use]
    pub fn as_shown() -> Self {
        Self { pairs: vec![] }
    }

    /// Free ports in place of those of the five-node herd. They keep their order, in which nodes are listed.
    #[must_use]
    pub fn free() -> Self {
        let mut held: Vec<HeldAddress> = (0..20).map(|_| HeldAddress::any()).collect();
        held.sort_by_key(|held| held.address);
        let firsts = [15415, 16415, 17415, 18415].into_iter();
        let shown = firsts.flat_map(|first| (first..first + 5).map(|port: u16| format!(":{port}")));
        Self { pairs: shown.zip(held).collect() }
    }

    /// Configuration of the five-node herd at these ports.
    #[must_use]
    pub fn configuration(&self) -> String {
        const LINKS: [(&str, &str); 5] = [
            ("Riley", "\"Jaquez\", \"Juzang\""),
            ("Jaquez", "\"Bernard\""),
            ("Juzang", "\"Bernard\", \"Campbell\""),
            ("Campbell", "\"Bernard\""),
            ("Bernard", ""),
        ];
        let node = |((name, links), port): ((&str, &str), u16)| {
            let addresses = [("client", 0), ("link", 1000), ("admin", 2000), ("metrics", 3000)];
            let addresses = addresses.map(|(key, above)| format!("{key} = \"127.0.0.1:{}\"\n", port + above)).concat();
            format!("[nodes.{name}]\n{addresses}links = [{links}]\n")
        };
        self.to_ours(&LINKS.into_iter().zip(15415..).map(node).collect::<String>())
    }

    fn to_ours(&self, text: &str) -> String {
        self.pairs.iter().fold(text.to_string(), |text, (shown, held)| {
            text.replace(shown.as_str(), &format!(":{}", held.address.port()))
        })
    }

    fn to_shown(&self, text: &str) -> String {
        self.pairs
            .iter()
            .fold(text.to_string(), |text, (shown, held)| text.replace(&format!(":{}", held.address.port()), shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(Into::into).collect()
    }

    #[test]
    fn readme_steps_are_commands_files_and_interrupts_in_their_order() {
        let page = "text\n```console\n$ a b   # c\nout\n\n$ d\n```\n```toml x.toml\nk = 1\n```\n```sh\n$ ignored\n```\n```console\n^C\nbye\n```\n";
        let step = |line, action, output: &str| Step { line, action, output: lines(output) };
        assert_eq!(
            steps(page),
            [
                step(3, Action::Type("a b   # c".into()), "out\n\n"),
                step(6, Action::Type("d".into()), ""),
                step(8, Action::Write { name: "x.toml".into(), text: "k = 1\n".into() }, ""),
                step(15, Action::Interrupt, "bye"),
            ]
        );
    }

    #[test]
    fn readme_output_is_compared_but_for_elisions_times_and_digests() {
        let shown = |shown: &str, output: &str| is_shown(&lines(shown), &lines(output));
        assert!(shown("AT Riley +0.000786730 k +34.06 1.5", "AT Riley +0.012345678 k +34.06 1.5"));
        assert!(!shown("AT Riley +0.000786730 k +34.06 1.5", "AT Riley +0.012345678 k +34.07 1.5"));
        assert!(shown("generation 2 (1a2b3c4d) serving", "generation 2 (ffffffff) serving"));
        assert!(!shown("generation 2 (1a2b3c4d) serving", "generation 3 (ffffffff) serving"));
        assert!(shown("a ... c ...", "a b c d") && !shown("a ... c", "a b d") && shown("...x", "x"));
        assert!(shown("...\nb\n...", "a\na\nb") && shown("...\nb", "b") && !shown("...\nb", "b\nc"));
        assert!(shown("", "") && !shown("", "x") && !shown("x", ""));
        assert!(is_serving("cargo run --release -- up  # x") && is_serving("herd up --watch x"));
        assert!(!is_serving("herd status   # of herd up"));
    }
}
