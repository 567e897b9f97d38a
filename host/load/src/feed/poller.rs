//! Watch of one node for a report.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::node_addr::NodeAddr;
use super::report::NodeReport;
use super::session::Session;
use super::timeouts::Timeouts;
use crate::client::ClientError;

/// Looks for the reports at one node.
pub(super) struct Poller {
    pub(super) session: Session,
    wait: Duration,
    seen_after: Vec<Duration>,
    last_failure: Option<ClientError>,
}

impl Poller {
    pub(super) fn new(node: NodeAddr, timeouts: Timeouts) -> Self {
        let session = Session::new(node, timeouts.answer);
        Poller { session, wait: timeouts.visible, seen_after: Vec::new(), last_failure: None }
    }

    /// Asks until the node shows the line or its time is over.
    pub(super) async fn poll(&mut self, client: &str, at_line: &str, answered: Instant) {
        let deadline = answered + self.wait;
        let seen = timeout_at(deadline, async {
            let mut pause = ASK_PAUSE_MIN;
            loop {
                match self.session.shows(client, at_line).await {
                    Ok(true) => return Instant::now(),
                    Ok(false) => {}
                    Err(failure) => self.last_failure = Some(failure),
                }
                sleep(pause).await;
                pause = (pause * 2).min(ASK_PAUSE_MAX);
            }
        });
        if let Ok(seen) = seen.await {
            self.seen_after.push(seen - answered);
        }
    }

    pub(super) fn into_report(self, accepted: u64) -> NodeReport {
        let failure = self.last_failure.map(|failure| failure.to_string());
        NodeReport::new(self.session.node.name, accepted, self.seen_after, failure)
    }
}

/// The first pause between two looks at a node. Short against a flood over loopback, so that samples are not all
/// multiples of it; doubled up to [`ASK_PAUSE_MAX`].
const ASK_PAUSE_MIN: Duration = Duration::from_millis(1);

/// At this pace a node that is behind is asked twenty times a second.
const ASK_PAUSE_MAX: Duration = Duration::from_millis(50);
