//! Who is connected: one link per peer, whoever dialed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use herd_replication::{ReportBatch, WireReport};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::frame::Hello;
use super::handshake::{FramedStream, Identity};
use super::host::PeersHost;
use super::limits::LinkLimits;
use super::link_queue::LinkQueue;
use super::link_task;
use super::peer::{Link, Peer, lock};
use super::status::PeersStatus;

/// The peers of a node.
pub struct Peers {
    pub(super) identity: Identity,
    pub(super) limits: LinkLimits,
    pub(super) stopping: CancellationToken,
    pub(super) host: Mutex<Option<Arc<dyn PeersHost>>>,
    pub(super) tasks: TaskTracker,
    /// By name. Entries are made for the peers of the configuration and for nodes that dialed, and stay.
    by_name: Mutex<BTreeMap<String, Arc<Peer>>>,
    /// The live links, as flooding sees them: a snapshot that changes when a link comes or goes.
    live: arc_swap::ArcSwap<Vec<Arc<Link>>>,
    live_count: watch::Sender<usize>,
    pub(super) handshakes: Semaphore,
    /// Who may link with this node, whatever side lists the link.
    pub(super) members: Vec<String>,
}

impl Peers {
    /// No links yet. `members` are the nodes of the herd.
    #[must_use]
    pub fn new(identity: Identity, limits: LinkLimits, members: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            identity,
            limits,
            stopping: CancellationToken::new(),
            host: Mutex::default(),
            tasks: TaskTracker::new(),
            by_name: Mutex::default(),
            live: arc_swap::ArcSwap::default(),
            live_count: watch::Sender::new(0),
            handshakes: Semaphore::new(HANDSHAKES_MAX),
            members,
        })
    }

    /// Tells every peer but `except`, or those whose names, each ended by a newline, are in `only`. Never waits.
    pub fn flood(&self, report: &WireReport<'_>, except: Option<&str>, only: Option<&[u8]>) {
        let live = self.live.load();
        ENCODED.with_borrow_mut(|encoded| {
            encoded.clear();
            for link in live.iter() {
                let named = |only: &[u8]| only.split(|&byte| byte == b'\n').any(|name| name == link.peer.as_bytes());
                if except == Some(&*link.peer) || only.is_some_and(|only| !named(only)) {
                    continue;
                }
                if encoded.is_empty() {
                    encoded.add(report);
                }
                if !link.queue.push(encoded.bytes()) {
                    // The link ended since the snapshot was made.
                    self.peer(&link.peer).push(encoded.bytes());
                }
            }
        });
    }

    /// Says something to a peer that is no report. Never waits. It is lost when there is no link, or when too much waits.
    pub fn send(&self, peer: &str, message: &Bytes) {
        let live = self.live.load();
        live.iter().filter(|link| link.peer == peer).for_each(|link| queue_message(link, message));
    }

    /// Says something to every peer but one, as [`tell`](Self::tell).
    pub fn send_to_all(&self, except: Option<&str>, message: &Bytes) {
        let live = self.live.load();
        live.iter().filter(|link| except != Some(&*link.peer)).for_each(|link| queue_message(link, message));
    }

    /// Waits until links to this many peers are up. Cancel safe.
    pub async fn wait_for_links(&self, count: usize) {
        let _ = self.live_count.subscribe().wait_for(|up| *up >= count).await;
    }

    /// Says goodbye to every peer and ends, after what waits is sent or `grace` is over.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(grace, self.tasks.wait()).await;
        *lock(&self.host) = None;
    }

    /// Every peer and its link.
    pub fn status(&self) -> PeersStatus {
        let by_name = lock(&self.by_name);
        PeersStatus { links: by_name.iter().map(|(name, peer)| peer.status(name)).collect() }
    }

    pub(super) fn host(&self) -> Option<Arc<dyn PeersHost>> {
        lock(&self.host).clone()
    }

    pub(super) fn peer(&self, name: &str) -> Arc<Peer> {
        Arc::clone(lock(&self.by_name).entry(name.into()).or_default())
    }

    /// The link to a peer that said hello, if there is to be one. Of two connections that were dialed at the same time,
    /// both sides keep the one that the node with the smaller name dialed.
    pub(super) fn admit(&self, hello: &Hello, dialed: bool) -> Result<Arc<Link>, String> {
        let peer = self.peer(&hello.node);
        let preferred = dialed == (self.identity.node < hello.node);
        let link = || {
            let queue = LinkQueue::new(self.limits.queue_bytes_max());
            Link::new(&hello.node, hello.epoch, dialed, queue, self.stopping.child_token())
        };
        let admitted = peer.install(hello.epoch, dialed, preferred, link);
        let link = admitted.ok_or_else(|| format!("{} and {} have a link already", self.identity.node, hello.node))?;
        self.publish_live_links(&peer);
        Ok(link)
    }

    /// Runs a link to its end, and says how long it lasted.
    ///
    /// # Errors
    ///
    /// Why it ended, if not on purpose.
    pub(super) async fn run(self: &Arc<Self>, frames: FramedStream, link: &Arc<Link>) -> Result<Duration, String> {
        tracing::info!(node = %self.identity.node, peer = %link.peer, "link up");
        // None once the node has stopped; then the link ends before it began.
        let host = self.host();
        let ended = match &host {
            Some(host) => {
                host.link_up(&link.peer);
                link_task::run(&**host, &self.limits, link, frames).await.map_err(|error| error.to_string())
            }
            None => Ok(()),
        };
        match &ended {
            Ok(()) => tracing::info!(node = %self.identity.node, peer = %link.peer, "link down"),
            Err(error) => tracing::warn!(node = %self.identity.node, peer = %link.peer, error, "link down"),
        }
        let peer = self.peer(&link.peer);
        if peer.remove(link, ended.clone().err()) {
            self.publish_live_links(&peer);
            if let Some(host) = &host {
                host.link_down(&link.peer);
            }
        }
        ended.map(|()| link.began.elapsed())
    }

    /// Makes the snapshot anew.
    fn publish_live_links(&self, peer: &Peer) {
        let by_name = lock(&self.by_name);
        let live: Vec<Arc<Link>> = by_name.values().filter_map(|peer| peer.link()).collect();
        // Both while the lock is held, or an older count could come after a newer one.
        self.live_count.send_replace(live.len());
        self.live.store(Arc::new(live));
        drop(by_name);
        peer.link_changed.notify_waiters();
    }
}

fn queue_message(link: &Link, message: &Bytes) {
    if !link.queue.push_message(message.clone()) {
        tracing::debug!(peer = %link.peer, "too much waits for a peer, and a message is lost");
    }
}

thread_local! {
    /// Where a worker encodes a report, once for all links.
    static ENCODED: RefCell<ReportBatch> = RefCell::default();
}

/// Strangers whose handshake is under way.
const HANDSHAKES_MAX: usize = 64;
