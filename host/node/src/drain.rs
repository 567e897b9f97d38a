//! Stop of a node: not ready, stop accepting, let sessions finish, say goodbye to peers, flush, wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use herd_audit::{Entry, Stage};
use herd_sys::TrafficLog;

use crate::Node;
use crate::listening_sockets::HandedSockets;

/// Times of a stop.
struct StopTimes {
    /// For sessions, and for the whole where nothing hangs.
    grace: Duration,
    /// For links and the admin API to end when sessions have used up the grace period.
    goodbye: Duration,
    /// For the last spans to reach the collector.
    spans: Duration,
}

impl Node {
    /// Drains the node: no new sessions, replies go out, links say goodbye. Takes the grace period and a few seconds at
    /// most. Cancel safe, but what was not flushed by then may be lost.
    pub fn drain(&self) -> BoxFuture<'_, ()> {
        // Boxed for the same reason as the start.
        Box::pin(async move {
            // A connection that nobody will accept is refused.
            self.listening.close();
            self.stop(&StopTimes { grace: self.grace, goodbye: GOODBYE, spans: SPANS }).await;
        })
    }

    /// Drains the node for a successor in the same process, and returns its listening sockets. Connections wait in
    /// them from now on, so sessions have less time than in [`drain`](Self::drain): what waits for an upstream beyond that is not
    /// answered. `who` and `why` go into the audit log. Cancel safe as `drain` is; the sockets are closed then.
    pub fn hand_over<'a>(&'a self, who: &'a str, why: &'a str) -> BoxFuture<'a, HandedSockets> {
        Box::pin(async move {
            self.audit.append_soon(Entry::new(who, Stage::Upgraded).because(why));
            // First, because the server of the admin socket would remove its file.
            let sockets = self.listening.hand_over();
            let grace = self.grace.min(HAND_OVER_GRACE);
            self.stop(&StopTimes { grace, goodbye: HAND_OVER_GOODBYE, spans: HAND_OVER_GOODBYE }).await;
            sockets
        })
    }

    async fn stop(&self, times: &StopTimes) {
        // First, so that a balancer or an operator's script sends no more clients here.
        self.admin.set_ready(false);
        let deadline = Instant::now() + times.grace;
        let left = || deadline.saturating_duration_since(Instant::now()).max(times.goodbye);
        // Sessions before links: a report that is acknowledged in its last moment still has links to be flooded on.
        let classic = async {
            if let Some(classic) = &self.classic {
                classic.drain(times.grace).await;
            }
        };
        tokio::join!(self.sessions.drain(times.grace), classic);
        // The rollout before links too: its last messages need them.
        self.rollout.stop().await;
        // Links get a moment in any case: reports that wait for a peer were acknowledged to a client.
        let classic = async {
            if let Some(classic) = &self.classic {
                classic.lines.peers.stop(left()).await;
            }
        };
        tokio::join!(self.peers.stop(left()), classic);
        // The admin API answers until here, so that `herd status` shows a drain that hangs.
        self.admin.stop();
        self.tasks.close();
        let ended = async { tokio::join!(self.tasks.wait(), self.admin.stopped()) };
        let _ = tokio::time::timeout(left(), ended).await;
        if let Some(traces) = &self.traces {
            traces.stop(times.spans).await;
        }
        let (traffic, audit, store) = (self.traffic.clone(), Arc::clone(&self.audit), Arc::clone(&self.store));
        let generations = Arc::clone(&self.admin_host.swap.generations);
        let flush = move || {
            store.stop();
            traffic.iter().for_each(TrafficLog::flush);
            audit.flush();
            generations.flush_recording();
        };
        let _ = tokio::task::spawn_blocking(flush).await;
        tracing::info!(node = %self.name(), "node stopped");
    }
}

/// Time for links and the admin API to end when sessions have used up the grace period.
const GOODBYE: Duration = Duration::from_secs(1);
/// Time for the last spans to reach the collector.
const SPANS: Duration = Duration::from_secs(2);
/// Time for sessions before a hand-over. New clients wait a second at most, and the successor needs some of that to read the records.
const HAND_OVER_GRACE: Duration = Duration::from_millis(400);
/// Time for links, and then for spans, before a hand-over. They come up again with the successor, which sends what they have not.
const HAND_OVER_GOODBYE: Duration = Duration::from_millis(100);
