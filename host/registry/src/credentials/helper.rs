//! Credential helpers: programs that ask a store of passwords, by docker's protocol.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Credential;
use crate::error::RegistryError;

/// Asks a helper, such as `pass`, for the credential of a registry. None if it has none.
///
/// # Errors
///
/// It cannot be started, fails or does not end in time. Its output is not repeated, because it may hold the secret.
pub(super) fn ask_helper(name: &str, server: &str) -> Result<Option<Credential>, RegistryError> {
    let is_name = name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"._-".contains(&letter));
    if !is_name {
        return Err(RegistryError::Credentials {
            place: "a credential helper".into(),
            why: "its name is no name of a helper",
        });
    }
    run(Path::new(&format!("docker-credential-{name}")), server)
}

/// Runs the program of a helper.
pub(super) fn run(program: &Path, server: &str) -> Result<Option<Credential>, RegistryError> {
    let failed = |why| RegistryError::Credentials { place: program.display().to_string(), why };
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| failed("it cannot be started"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that reads nothing may still answer.
        let _ = writeln!(stdin, "{server}");
    }
    let began = Instant::now();
    // Without reading meanwhile: what does not fit into the pipe is no credential, and the helper is ended.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < HELPER_MAX => thread::sleep(POLL),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed("it does not end"));
            }
        }
    };
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        // All that the helper wrote is in the pipe by now. A process that it left behind may hold the pipe open, hence no wait for an end, and the
        // limit, which is that of a pipe.
        let _ = without_waiting(stdout).take(OUTPUT_BYTES_MAX).read_to_end(&mut output);
    }
    if !status.success() {
        let is_unknown = String::from_utf8_lossy(&output).contains("credentials not found");
        return if is_unknown { Ok(None) } else { Err(failed("it failed")) };
    }
    let answer: Value = serde_json::from_slice(&output).map_err(|_| failed("its answer is no JSON"))?;
    match (answer["Username"].as_str(), answer["Secret"].as_str()) {
        (Some(user), Some(secret)) => Ok(Some(Credential::of(user, secret))),
        _ => Err(failed("its answer has no user and secret")),
    }
}

/// Returns a pipe whose reads fail where they would wait.
fn without_waiting(pipe: ChildStdout) -> File {
    // The standard library sets this on sockets only; the call is the same for any descriptor.
    let descriptor = UnixStream::from(OwnedFd::from(pipe));
    let _ = descriptor.set_nonblocking(true);
    File::from(OwnedFd::from(descriptor))
}

/// A helper may ask a person for a passphrase.
const HELPER_MAX: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(10);

/// Bytes of a pipe of Linux.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;
