//! Orders to replace the program of this process, from its admin sockets.
//!
//! The new program checks itself before anything is closed: it is started beside the nodes with their arguments and `--check`. What it
//! cannot check are addresses, certificates of links, and what only a start shows.
//!
//! Bounds: one order; [`CHECK_MAX`] for the check, and [`PRINTED_BYTES_MAX`] of what it prints.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use herd_admin::{Refusal, UpgradeHost};
use herd_model::{Digest, Digester};
use herd_node::{RECORDS_FORMAT, RECORDS_READER_MIN};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::started_as::{RUNNING, SUCCESSION, StartedAs};

/// Receiver of requests for an upgrade, for all nodes of the process.
pub(super) struct UpgradeOrders {
    started: StartedAs,
    /// Taken by the first order that was given.
    orders: Mutex<Option<mpsc::Sender<UpgradeOrder>>>,
}

/// Order to become another program, which has checked itself.
#[derive(Clone, Debug)]
pub(super) struct UpgradeOrder {
    pub(super) program: PathBuf,
    /// Operator, for the audit log.
    pub(super) who: String,
    /// Programs before and after, for the audit log.
    pub(super) what: String,
}

/// Program file.
struct Build {
    version: String,
    digest: Digest,
}

impl UpgradeOrders {
    /// Creates the receiver, and the channel of the one order that it gives.
    pub(super) fn new(started: StartedAs) -> (Self, mpsc::Receiver<UpgradeOrder>) {
        let (orders, order) = mpsc::channel(1);
        (Self { started, orders: Mutex::new(Some(orders)) }, order)
    }

    fn check(&self, program: &Path) -> Result<(Build, Build), String> {
        let digest = |path: &Path| digest(path).map_err(|error| format!("it cannot be read: {error}"));
        let from = Build { version: VERSION.into(), digest: digest(Path::new(RUNNING))? };
        let digest = digest(program)?;
        let mut command = self.started.check(program);
        // That is for the process that the check does not become.
        command.env_remove(SUCCESSION);
        let output = output(command)?;
        if !output.status.success() {
            return Err(format!("its check failed, {}: {}", output.status, last_lines(&output.stderr)));
        }
        let checked: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let (version, format) = (checked["version"].as_str(), checked["records_format"].as_u64());
        let (Some(version), Some(format)) = (version, format) else {
            return Err("its check printed something else than a herd of this version or a later one does".into());
        };
        if format < u64::from(RECORDS_READER_MIN) {
            return Err(format!(
                "it is herd {version}, which cannot read the records of this version (format {RECORDS_FORMAT}, it knows format {format})"
            ));
        }
        Ok((from, Build { version: version.into(), digest }))
    }
}

impl UpgradeHost for UpgradeOrders {
    fn upgrade(&self, binary: Option<&Path>, operator: &str) -> Result<Value, Refusal> {
        // Held during the check, so that there is one at a time.
        let under_way = || Refusal::Busy("another upgrade is under way".into());
        let mut orders = self.orders.try_lock().map_err(|_| under_way())?;
        let sender = orders.as_ref().ok_or_else(under_way)?;
        let program = binary.unwrap_or(&self.started.program);
        let shown = program.display();
        if !program.is_absolute() {
            return Err(Refusal::Conflict(format!("`{shown}` is no absolute path")));
        }
        let refused = |why| Refusal::Conflict(format!("{shown} cannot take over, and nothing changed: {why}"));
        let (from, to) = self.check(program).map_err(refused)?;
        let what = format!(
            "from herd {} ({}) to herd {} ({}), {shown}",
            from.version,
            from.digest.short(),
            to.version,
            to.digest.short()
        );
        let order = UpgradeOrder { program: program.into(), who: operator.into(), what };
        sender.try_send(order).map_err(|_| under_way())?;
        *orders = None;
        Ok(json!({ "binary": shown.to_string(), "from": from.json(), "to": to.json() }))
    }
}

impl Build {
    fn json(&self) -> Value {
        json!({ "version": self.version, "digest": self.digest })
    }
}

/// Returns what `--check` prints for [`UpgradeOrders`].
pub(super) fn checked() -> Value {
    json!({ "version": VERSION, "records_format": RECORDS_FORMAT })
}

fn digest(path: &Path) -> std::io::Result<Digest> {
    // A look first: to open a pipe would wait for its other end, and a device has no end.
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    let (mut file, mut digester, mut part) = (File::open(path)?, Digester::default(), vec![0; READ_BYTES]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(digester.finish()),
            count => digester.add(&part[..count]),
        }
    }
}

/// Runs a command to its end.
fn output(mut command: Command) -> Result<Output, String> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("it cannot be started: {error}"))?;
    let id = Pid::from_child(&child);
    let (sender, ended) = std::sync::mpsc::channel();
    let printed = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
    std::thread::spawn(move || {
        let [stdout, stderr] = printed.map(|pipe| std::thread::spawn(move || last_printed(pipe)));
        let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().unwrap_or_default());
        sender.send(child.wait().map(|status| Output { status, stdout, stderr }))
    });
    match ended.recv_timeout(CHECK_MAX) {
        Ok(output) => output.map_err(|error| error.to_string()),
        Err(RecvTimeoutError::Timeout) => {
            // The thread has not reaped the child, so the id cannot belong to another process yet.
            let _ = kill_process(id, Signal::KILL);
            Err(format!("its check took longer than {CHECK_MAX:?}"))
        }
        Err(RecvTimeoutError::Disconnected) => Err("its check cannot be waited for".into()),
    }
}

/// Reads what a program prints, to the end, and returns the last [`PRINTED_BYTES_MAX`] of it.
fn last_printed(pipe: Option<OwnedFd>) -> Vec<u8> {
    let Some(mut pipe) = pipe.map(File::from) else { return Vec::new() };
    let (mut last, mut part) = (Vec::new(), [0; 4 << 10]);
    // An error ends it as the end does: what arrived until then tells more.
    while let Ok(count @ 1..) = pipe.read(&mut part) {
        last.extend_from_slice(&part[..count]);
        last.drain(..last.len().saturating_sub(PRINTED_BYTES_MAX));
    }
    last
}

/// Returns the end of what a program printed.
fn last_lines(printed: &[u8]) -> String {
    let printed = String::from_utf8_lossy(printed);
    let printed = printed.trim();
    let lines: Vec<&str> = printed.lines().collect();
    let last = lines[lines.len().saturating_sub(LINES_MAX)..].join(" | ");
    let start = last.len().saturating_sub(LINES_BYTES_MAX);
    last[last.ceil_char_boundary(start)..].into()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Longest check. A guest that contains an interpreter compiles for a minute on a small machine.
const CHECK_MAX: Duration = Duration::from_secs(120);
const READ_BYTES: usize = 1 << 20;
/// Much more than the line of a check that passed, and than what is shown of one that failed.
const PRINTED_BYTES_MAX: usize = 64 << 10;
/// Lines of a failed check that are shown. Errors of the command line take up to four.
const LINES_MAX: usize = 4;
const LINES_BYTES_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrade_keeps_the_end_of_what_a_check_prints() {
        let mut command = Command::new("sh");
        command.args(["-c", "yes 0123456 | head -c 1000000; echo the end; echo why >&2; exit 3"]);
        let output = output(command).unwrap();
        assert!(output.stdout.len() == PRINTED_BYTES_MAX && output.stdout.ends_with(b"the end\n"));
        assert_eq!((output.status.code(), &*output.stderr), (Some(3), &b"why\n"[..]));
    }

    #[test]
    fn upgrade_to_what_is_no_regular_file_is_refused() {
        for path in ["/dev/zero", "/tmp"] {
            assert_eq!(digest(Path::new(path)).unwrap_err().to_string(), "it is no regular file", "{path}");
        }
    }
}
