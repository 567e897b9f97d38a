//! Messages to the service manager that started this process: that it is ready, that it lives, and that it stops.
//!
//! The protocol is that of systemd (`sd_notify`), which other managers speak too. Without `NOTIFY_SOCKET` in the environment nothing is
//! sent. The variables stay in the environment: the program that this process becomes at an upgrade needs them, and the process id in
//! them remains right. Knows nothing of nodes. Bound: one message at a time.

use std::time::Duration;

use sd_notify::NotifyState;

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
        send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// Reports what the process does, on one line for operators.
    pub fn status(&self, status: &str) {
        send(&[NotifyState::Status(status)]);
    }

    /// Reports that the process has begun to stop.
    pub fn stopping(&self, status: &str) {
        send(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    /// Sends signs of life, twice in the time that the manager allows, as long as this thread and every worker run tasks. Returns at
    /// once if the manager expects none, and otherwise when a worker has ended; a worker that hangs delays the next sign. Cancel safe.
    pub async fn keep_alive(self, workers: WorkerRotation) {
        let Some(longest) = self.watchdog else { return };
        while workers.answered().await {
            send(&[NotifyState::Watchdog]);
            tokio::time::sleep(longest / 2).await;
        }
        tracing::error!("a worker thread has ended; the service manager will restart the process");
    }
}

/// Sends a message. A manager that does not take it must not stop what serves.
fn send(message: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(message) {
        tracing::warn!(%error, "the service manager takes no message");
    }
}
