//! Task of a classic peer: reads the change feed, delivers its records as lines, and tries again after each failure.
//!
//! ```text
//! idle -> lines wait -> delivered -> ...
//!                    -> failed -> waits -> everything, from the start
//! ```
//!
//! After a failure the peer is sent everything once it is back, and what waited is dropped: a line that was on its way may be lost, and a
//! program that keeps records in memory has none after a restart. Owns the order of these steps. Bounds: records per batch, the wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use herd_replication::{Change, ChangeFeed};
use herd_sys::{Resolver, TrafficLog};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::delivery::{Connection, send_each};
use super::limits::{ClassicConnections, ClassicLimits};
use super::peer::ClassicPeer;

/// Task of one peer.
pub(super) struct PeerTask {
    pub(super) node: String,
    pub(super) peer: Arc<ClassicPeer>,
    pub(super) feed: ChangeFeed,
    pub(super) wake: Arc<Notify>,
    pub(super) limits: ClassicLimits,
    pub(super) traffic: Option<TrafficLog>,
    pub(super) stopping: CancellationToken,
}

impl PeerTask {
    /// Sends records until the node stops.
    pub(super) async fn run(mut self) {
        let (mut resolver, mut kept, mut wait) = (Resolver::default(), None, RETRY_MIN);
        let mut resend_at = self.next_resend();
        loop {
            let changes = self.feed.take(BATCH_MAX);
            self.peer.resending.store(self.feed.is_resending(), Ordering::Relaxed);
            if changes.is_empty() {
                let failed = tokio::select! {
                    biased;
                    () = self.stopping.cancelled() => return,
                    () = self.wake.notified() => None,
                    () = sleep_until(resend_at) => {
                        self.resend();
                        resend_at = self.next_resend();
                        None
                    }
                    error = end(&mut kept) => Some(error),
                };
                if let Some(error) = failed {
                    // One that ends right behind its lines is opened more and more seldom, or a peer that closes behind each line would be
                    // sent everything without rest.
                    if kept.take().is_some_and(|kept| kept.since.elapsed() >= STABLE) {
                        wait = RETRY_MIN;
                    }
                    if !self.retry_after(error, &mut wait).await {
                        return;
                    }
                }
                continue;
            }
            let lines: Vec<Vec<u8>> = changes.into_iter().filter_map(|change| self.line(change)).collect();
            if lines.is_empty() {
                // A table of other records is read without a line to wait for.
                tokio::task::yield_now().await;
                continue;
            }
            match self.deliver(&lines, &mut resolver, &mut kept).await {
                Ok(()) => {
                    if self.peer.is_up() {
                        tracing::info!(node = %self.node, peer = %self.peer.address, "classic peer is back");
                    }
                    if self.limits.connections == ClassicConnections::PerLine {
                        wait = RETRY_MIN;
                    }
                }
                Err(error) => {
                    kept = None;
                    if !self.retry_after(error, &mut wait).await {
                        return;
                    }
                    resend_at = self.next_resend();
                }
            }
        }
    }

    async fn deliver(
        &self,
        lines: &[Vec<u8>],
        resolver: &mut Resolver,
        kept: &mut Option<KeptConnection>,
    ) -> Result<(), String> {
        let delivered = |line: &[u8]| {
            self.peer.sent.fetch_add(1, Ordering::Relaxed);
            if let Some(traffic) = &self.traffic {
                traffic.sent_to_peer(&self.peer.address.to_string(), line.strip_suffix(b"\n").unwrap_or(line));
            }
        };
        match self.limits.connections {
            ClassicConnections::PerLine => {
                let addresses = self.addresses(resolver).await?;
                send_each(&addresses, lines, delivered).await.map_err(|error| error.to_string())
            }
            ClassicConnections::Kept => {
                let connection = match kept {
                    Some(connection) => connection,
                    None => {
                        let addresses = self.addresses(resolver).await?;
                        let connection = Connection::open(&addresses).await.map_err(|error| error.to_string())?;
                        kept.insert(KeptConnection { connection, since: Instant::now() })
                    }
                };
                connection.connection.send(&lines.concat()).await.map_err(|error| error.to_string())?;
                lines.iter().for_each(|line| delivered(line));
                Ok(())
            }
        }
    }

    async fn addresses(&self, resolver: &mut Resolver) -> Result<Vec<SocketAddr>, String> {
        let found = resolver.resolve(&self.peer.address, LOOKUP_MAX).await.map_err(|error| error.to_string())?;
        self.peer.set_ips(found.iter().map(SocketAddr::ip).collect());
        Ok(found)
    }

    /// Returns the line of a record, or counts why it has none.
    fn line(&self, change: Change) -> Option<Vec<u8>> {
        let Change { form, mut record, .. } = change;
        // Other guests keep other records. A newline in one would make two lines of it.
        if form != AT_LINES || !record.starts_with(b"AT ") || record.contains(&b'\n') {
            self.peer.skipped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        record.push(b'\n');
        Some(record)
    }

    /// Notes a failure and waits before the next attempt, which begins with everything. Returns false if the node stops meanwhile.
    async fn retry_after(&mut self, why: String, wait: &mut Duration) -> bool {
        if self.peer.is_down(why.clone()) {
            tracing::warn!(node = %self.node, peer = %self.peer.address, why, "classic peer is away");
        }
        // Shortened at random, because nodes that lost a peer at the same moment must not all come back to it at the same moment.
        let waited = timeout(wait.mul_f64(rand::random_range(0.5..=1.0)), self.stopping.cancelled()).await;
        *wait = (*wait * 2).min(RETRY_MAX);
        self.resend();
        waited.is_err()
    }

    fn resend(&mut self) {
        self.feed.restart();
        self.peer.resends.fetch_add(1, Ordering::Relaxed);
    }

    fn next_resend(&self) -> Instant {
        Instant::now() + self.limits.resend.unwrap_or(NEVER)
    }
}

/// Connection that is kept, with the time at which it was opened.
struct KeptConnection {
    connection: Connection,
    since: Instant,
}

/// Waits until a connection that is kept ends, and returns why. Pending without one. Cancel safe.
async fn end(kept: &mut Option<KeptConnection>) -> String {
    match kept {
        Some(kept) => kept.connection.end().await.to_string(),
        None => std::future::pending().await,
    }
}

/// Form of `AT` lines: that of the records of the default logic.
const AT_LINES: u32 = 1;
/// Records per batch: some milliseconds of a peer that takes a connection for each, and 64 KiB on one that is kept.
const BATCH_MAX: usize = 512;
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Life of a kept connection after which its end counts as the first failure.
const STABLE: Duration = Duration::from_secs(5);
const LOOKUP_MAX: Duration = Duration::from_secs(3);
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
