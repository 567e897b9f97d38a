//! The classic peers of a node: one task for each, from start to stop.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use herd_replication::{ChangeFeed, LinkPort, Replica, WakeLink};
use herd_sys::workers::{self, WorkerRotation};
use herd_sys::{HostPort, TrafficLog};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::ClassicLimits;
use super::peer::ClassicPeer;
use super::status::ClassicPeerStatus;
use super::task::PeerTask;

/// Classic peers of a node.
pub struct ClassicPeers {
    peers: Vec<Arc<ClassicPeer>>,
    tasks: TaskTracker,
    /// Cancelled when the node stops: tasks deliver what waits, and end.
    stopping: CancellationToken,
    /// Cancelled when that has taken too long.
    aborting: CancellationToken,
}

impl Drop for ClassicPeers {
    /// Ends the tasks of a node that did not start, or was not stopped.
    fn drop(&mut self) {
        self.aborting.cancel();
    }
}

/// Wakes the task of a peer.
struct Wake(Arc<Notify>);

impl WakeLink for Wake {
    fn reports_queued(&self) {
        self.0.notify_one();
    }

    fn frame_filled(&self) {}
}

impl ClassicPeers {
    /// Begins to send the records of the replica to peers, each in a task on one of the workers, until [`stop`](Self::stop).
    #[must_use]
    pub fn start(
        replica: &Arc<Replica>,
        addresses: &[HostPort],
        limits: ClassicLimits,
        traffic: Option<&TrafficLog>,
        rotation: &WorkerRotation,
    ) -> Self {
        let (tasks, stopping, aborting) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let begin = |address: &HostPort| {
            let wake = Arc::new(Notify::new());
            let feed_wake = Wake(Arc::clone(&wake));
            let feed = ChangeFeed::new(Arc::clone(replica), limits.queue_bytes_max, workers::slots(), feed_wake);
            let peer = Arc::new(ClassicPeer::new(address.clone(), Arc::clone(feed.port())));
            let task = PeerTask {
                node: replica.node().to_string(),
                peer: Arc::clone(&peer),
                feed,
                wake,
                limits,
                traffic: traffic.cloned(),
                stopping: stopping.clone(),
            };
            let aborting = aborting.clone();
            tasks.spawn_on(
                async move {
                    let _ = aborting.run_until_cancelled(task.run()).await;
                },
                rotation.next(),
            );
            peer
        };
        let peers = addresses.iter().map(begin).collect();
        Self { peers, tasks, stopping, aborting }
    }

    /// Returns the port of the peer at an address, to say that a record came from it. `None` if no peer is there, or several: a host with
    /// several programs is not one of them, and each is sent what another one brought.
    #[must_use]
    pub fn at(&self, ip: IpAddr) -> Option<&LinkPort> {
        let ip = ip.to_canonical();
        let mut there = self.peers.iter().filter(|peer| peer.is_at(ip));
        there.next().filter(|_| there.next().is_none()).map(|peer| &*peer.port)
    }

    /// Returns the status of every peer.
    #[must_use]
    pub fn status(&self) -> Vec<ClassicPeerStatus> {
        self.peers.iter().map(|peer| peer.status()).collect()
    }

    /// Delivers what waits for peers that are there, and ends. Takes at most `grace`. Cancel safe: the tasks go on ending.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            self.aborting.cancel();
        }
    }
}
