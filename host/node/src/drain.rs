//! Stop of a node: not ready, stop accepting, let sessions finish, say goodbye to peers, flush, wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use herd_sys::TrafficLog;

use crate::Node;

impl Node {
    /// Drains the node: no new sessions, replies go out, links say goodbye. Takes the grace period and a few seconds at
    /// most. Cancel safe, but what was not flushed by then may be lost.
    pub fn drain(&self) -> BoxFuture<'_, ()> {
        // Boxed for the same reason as the start.
        Box::pin(self.stop())
    }

    async fn stop(&self) {
        // First, so that a balancer or an operator's script sends no more clients here.
        self.admin.set_ready(false);
        let deadline = Instant::now() + self.grace;
        let left = || deadline.saturating_duration_since(Instant::now());
        // Sessions before links: a report that is acknowledged in its last moment still has links to be flooded on.
        self.sessions.drain(left()).await;
        // The rollout before links too: its last messages need them.
        self.rollout.stop().await;
        // Links get a moment in any case: reports that wait for a peer were acknowledged to a client.
        self.peers.stop(left().max(GOODBYE)).await;
        // The admin API answers until here, so that `herd status` shows a drain that hangs.
        self.admin.stop();
        self.tasks.close();
        let _ = tokio::time::timeout(left().max(GOODBYE), self.tasks.wait()).await;
        let (traffic, audit, store) = (self.traffic.clone(), Arc::clone(&self.audit), Arc::clone(&self.store));
        let flush = move || {
            store.stop();
            traffic.iter().for_each(TrafficLog::flush);
            audit.flush();
        };
        let _ = tokio::task::spawn_blocking(flush).await;
        tracing::info!(node = %self.name(), "node stopped");
    }
}

/// Time for links and the admin API to end when sessions have used up the grace period.
const GOODBYE: Duration = Duration::from_secs(1);
