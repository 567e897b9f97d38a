//! Messages to the service manager that started this process: that it is ready, that it lives, and that it stops.
//!
//! The protocol is that of systemd (`sd_notify`), which other managers speak too. Without `NOTIFY_SOCKET` in the environment nothing is
//! sent. The variables stay in the environment: the program that this process becomes at an upgrade needs them, and the process id in
//! them remains right. Knows nothing of nodes. Bounds: one message at a time, and [`MESSAGE_MAX`] or [`SIGN_MAX`] for
//! a manager that does not read.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::LogThrottle;
use crate::clock::unix_now;
use crate::workers::WorkerRotation;

/// Service manager of this process, if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Supervisor {
    /// Longest time without a sign of life after which the manager restarts the process.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Reads from the environment who started this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled().filter(|longest| !longest.is_zero()) }
    }

    /// Reports that the process serves. `status` is a line for operators, which `systemctl status` shows.
    pub fn ready(&self, status: &str) {
        send(&[NotifyState::Ready, NotifyState::Status(status)], MESSAGE_MAX);
    }

    /// Reports what the process does, on one line for operators.
    pub fn status(&self, status: &str) {
        send(&[NotifyState::Status(status)], MESSAGE_MAX);
    }

    /// Reports that the process has begun to stop.
    pub fn stopping(&self, status: &str) {
        send(&[NotifyState::Stopping, NotifyState::Status(status)], MESSAGE_MAX);
    }

    /// Sends signs of life, twice in the time that the manager allows, as long as this thread and every worker run tasks. Returns at
    /// once if the manager expects none, and otherwise when a worker has ended; a worker that hangs delays the next sign. Cancel safe.
    pub async fn keep_alive(self, workers: WorkerRotation) {
        let Some(longest) = self.watchdog else { return };
        while workers.answered().await {
            send(&[NotifyState::Watchdog], SIGN_MAX);
            tokio::time::sleep(longest / 2).await;
        }
        tracing::error!("a worker thread has ended; the service manager will restart the process");
    }
}

/// Sends a message. A manager that does not take it must not stop what serves.
fn send(message: &[NotifyState<'_>], wait: Duration) {
    let Some(manager) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let message: String = message.iter().map(|state| format!("{state}\n")).collect();
    if let Err(error) = send_to(&manager, &message, wait)
        && let Some(suppressed) = NOT_TAKEN.admit(unix_now())
    {
        tracing::warn!(%error, suppressed, "the service manager takes no message");
    }
}

/// Sends a message to a socket, which may be abstract. That of a manager which does not read holds ten messages on most hosts.
fn send_to(manager: &OsStr, message: &str, wait: Duration) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(wait))?;
    match manager.as_bytes() {
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        _ => socket.connect(manager)?,
    }
    socket.send(message.as_bytes()).map(drop)
}

static NOT_TAKEN: LogThrottle = LogThrottle::new(1);
/// Longest wait until a manager takes a change of state, which is said once: a manager that misses `READY=1` ends the process. Holds up the
/// thread of the admin API.
const MESSAGE_MAX: Duration = Duration::from_secs(1);
/// The same for a sign of life, which is followed by others.
const SIGN_MAX: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisor_that_does_not_read_holds_up_nothing() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let sent = (0..10_000).take_while(|_| send_to(path.as_os_str(), "WATCHDOG=1\n", SIGN_MAX).is_ok()).count();
        assert!((1..10_000).contains(&sent), "{sent} messages");
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"WATCHDOG=1\n");
        send_to(path.as_os_str(), "STOPPING=1\n", MESSAGE_MAX).unwrap();
    }

    #[test]
    fn supervisor_may_listen_on_an_abstract_socket() {
        let name = format!("herd-sys-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send_to(OsStr::new(&format!("@{name}")), "READY=1\n", MESSAGE_MAX).unwrap();
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"READY=1\n");
    }
}
