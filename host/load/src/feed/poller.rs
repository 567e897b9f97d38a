//! Poller: measures how long one node takes to show a report.
//!
//! Bounds: one request at a time, at most twenty per second in the long run.

use std::time::Duration;

use herd_client::ClientTls;
use tokio::time::{Instant, sleep, timeout_at};

use super::node_addr::NodeAddr;
use super::report::NodeReport;
use super::session::Session;
use super::timeouts::Timeouts;
use crate::client::ClientError;

/// Poller of one node, with its samples.
pub(super) struct Poller {
    pub(super) session: Session,
    wait: Duration,
    seen_after: Vec<Duration>,
    last_failure: Option<ClientError>,
}

impl Poller {
    pub(super) fn new(node: NodeAddr, tls: Option<ClientTls>, timeouts: Timeouts) -> Self {
        let session = Session::new(node, tls, timeouts.answer);
        Poller { session, wait: timeouts.visible, seen_after: Vec::new(), last_failure: None }
    }

    /// Polls until the node shows the line or the timeout has passed since `answered`. Errors are kept for the report and the
    /// poll goes on, because a node may be restarting.
    pub(super) async fn poll(&mut self, client: &str, at_line: &str, answered: Instant) {
        let deadline = answered + self.wait;
        let seen = timeout_at(deadline, async {
            let mut pause = POLL_PAUSE_MIN;
            loop {
                match self.session.shows(client, at_line).await {
                    Ok(true) => return Instant::now(),
                    Ok(false) => {}
                    Err(failure) => self.last_failure = Some(failure),
                }
                sleep(pause).await;
                pause = (pause * 2).min(POLL_PAUSE_MAX);
            }
        });
        if let Ok(seen) = seen.await {
            self.seen_after.push(seen - answered);
        }
    }

    /// Returns the samples as the report of the node.
    pub(super) fn into_report(self, accepted: u64) -> NodeReport {
        let failure = self.last_failure.map(|failure| failure.to_string());
        NodeReport::new(self.session.node.name, accepted, self.seen_after, failure)
    }
}

/// First pause between two polls, doubled up to [`POLL_PAUSE_MAX`]. Short compared to a flood over loopback, so that samples are
/// not all multiples of it.
const POLL_PAUSE_MIN: Duration = Duration::from_millis(1);

/// Limits polls of a slow node to twenty per second.
const POLL_PAUSE_MAX: Duration = Duration::from_millis(50);
