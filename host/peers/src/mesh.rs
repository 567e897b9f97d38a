//! Mesh: the peers of a node, with one link to each, whichever node connected.
//!
//! Owns the admission and removal of links, and the snapshot of live links for messages. Knows nothing of sockets and of what
//! reports contain: the replica queues them for the ports of the links.
//!
//! Bounds: one entry per node of the herd, one link per peer, and handshakes in progress. Sending never waits; a full queue drops.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use herd_replication::{LinkMachine, Replica};
use herd_sys::{HandshakeLimits, Handshakes};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::frame::{Frame, Hello};
use super::handshake::{Channel, LocalNode};
use super::host::PeersHost;
use super::limits::LinkLimits;
use super::link::{Direction, Link};
use super::link_task;
use super::peer::{Installed, Peer};
use super::protocol_version::{PROTOCOL_VERSION, PROTOCOL_VERSION_OF_CODE};
use super::refusals::{Refusals, Rejection};
use super::status::PeersStatus;

/// Peers of a node and the links to them.
pub struct Peers {
    pub(super) local: LocalNode,
    pub(super) limits: LinkLimits,
    pub(super) replica: Arc<Replica>,
    pub(super) stopping: CancellationToken,
    /// Set from start to stop only: the host holds parts that hold the peers, and the cycle would keep all of them alive.
    pub(super) host: Mutex<Option<Arc<dyn PeersHost>>>,
    pub(super) tasks: TaskTracker,
    /// Peers by name: configured ones and nodes that connected. Entries stay, with their counters.
    by_name: Mutex<BTreeMap<String, Arc<Peer>>>,
    /// Snapshot of the live links, replaced when a link comes up or goes down.
    live: arc_swap::ArcSwap<Vec<Arc<Link>>>,
    /// Number of live links, for those who wait for it.
    live_count: watch::Sender<usize>,
    pub(super) handshakes: Handshakes,
    pub(super) refusals: Refusals,
    /// Nodes that may link with this one, whichever side lists the link.
    pub(super) members: Vec<String>,
}

impl Peers {
    /// Creates the peers of a node, without links. `members` are the names of the nodes of the herd.
    #[must_use]
    pub fn new(local: LocalNode, limits: LinkLimits, members: Vec<String>, replica: Arc<Replica>) -> Arc<Self> {
        Arc::new(Self {
            local,
            limits,
            replica,
            stopping: CancellationToken::new(),
            host: Mutex::default(),
            tasks: TaskTracker::new(),
            by_name: Mutex::default(),
            live: arc_swap::ArcSwap::default(),
            live_count: watch::Sender::new(0),
            handshakes: Handshakes::new(HANDSHAKES),
            refusals: Refusals::new(),
            members,
        })
    }

    /// Queues a message for a peer. Never waits. The message is dropped if there is no link or its queue is full.
    pub fn send(&self, peer: &str, message: &Bytes) {
        let frame = Frame::Message(message.clone()).encode();
        let live = self.live.load();
        live.iter().filter(|link| link.peer == peer).for_each(|link| self.queue_message(link, &frame));
    }

    /// Queues a message about compiled code for a peer, as [`send`](Self::send). Dropped as well if the peer is of a version without them.
    pub fn send_code_message(&self, peer: &str, message: &Bytes) {
        let frame = Frame::Code(message.clone()).encode();
        let live = self.live.load();
        let knows_them = |link: &&Arc<Link>| link.peer == peer && link.version >= PROTOCOL_VERSION_OF_CODE;
        live.iter().filter(knows_them).for_each(|link| self.queue_message(link, &frame));
    }

    /// Returns the names of the peers to which a link is up.
    pub fn linked(&self) -> Vec<String> {
        self.live.load().iter().map(|link| link.peer.clone()).collect()
    }

    /// Queues a message for every linked peer except `except`, as [`send`](Self::send).
    pub fn send_to_all(&self, except: Option<&str>, message: &Bytes) {
        let frame = Frame::Message(message.clone()).encode();
        let live = self.live.load();
        live.iter().filter(|link| except != Some(&*link.peer)).for_each(|link| self.queue_message(link, &frame));
    }

    /// Waits until `count` links are up. Cancel safe.
    pub async fn wait_for_links(&self, count: usize) {
        let _ = self.live_count.subscribe().wait_for(|up| *up >= count).await;
    }

    /// Ends all links and tasks: each link sends what waits and a goodbye. Returns after `grace` at the latest.
    ///
    /// Cancel safe: links go on ending.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(grace, self.tasks.wait()).await;
        *self.host.lock() = None;
    }

    /// Returns the status of every peer and its link.
    pub fn status(&self) -> PeersStatus {
        let by_name = self.by_name.lock();
        let links = by_name.iter().map(|(name, peer)| peer.status(name)).collect();
        PeersStatus { links, refused: self.refusals.counts() }
    }

    /// Returns the host, or `None` once the node has stopped.
    pub(super) fn host(&self) -> Option<Arc<dyn PeersHost>> {
        self.host.lock().clone()
    }

    /// Returns the peer of a name, and adds it if it is new.
    pub(super) fn peer(&self, name: &str) -> Arc<Peer> {
        Arc::clone(self.by_name.lock().entry(name.into()).or_default())
    }

    /// Admits the connection of a peer whose hello was received, and returns its link. The caller must
    /// [`run`](Self::run) the link, which also removes it.
    ///
    /// # Errors
    ///
    /// The reason, if another link to the peer stays ([`Link::must_stay`]). Nothing changed.
    pub(super) fn admit(&self, hello: &Hello, direction: Direction) -> Result<Arc<Link>, Rejection> {
        let peer = self.peer(&hello.node);
        let preferred = Direction::preferred(&self.local.node, &hello.node);
        let link = || {
            let queue_bytes_max = self.limits.queue_bytes_max();
            let (ending, detector) = (self.stopping.child_token(), Arc::clone(&peer.detector));
            let version = hello.version.min(PROTOCOL_VERSION);
            Link::new(&hello.node, (hello.epoch, version), direction, queue_bytes_max, ending, detector)
        };
        let Installed { link, replaced } = peer.install(hello.epoch, direction, preferred, link).ok_or_else(|| {
            let (own, name) = (&self.local.node, &hello.node);
            match peer.link().is_some_and(|linked| linked.is_of_another_process(hello.epoch)) {
                true => {
                    let why = format!("{own} is linked with another process that is named {name} and that answers");
                    Rejection::new("name_in_use", why)
                }
                false => Rejection::new(ALREADY_LINKED_LABEL, format!("{own} and {name} are {ALREADY_LINKED}")),
            }
        })?;
        // Before it runs: from now on every keep is queued for the link.
        self.replica.add_link(&link.port);
        // At once, whatever its task still waits for: keeps need not be queued twice. What it has not sent, the new link sends, because
        // the peer's vector does not cover it.
        replaced.iter().for_each(|old| self.replica.remove_link(&old.port));
        self.publish_live_links(&peer);
        Ok(link)
    }

    /// Runs a link to its end, and removes it.
    ///
    /// Not cancel safe: a link whose run is cancelled stays in place.
    pub(super) async fn run(self: Arc<Self>, channel: Channel, link: Arc<Link>) {
        tracing::info!(node = %self.local.node, peer = %link.peer, "link up");
        // None once the node has stopped; then the link ends before it begins.
        let host = self.host();
        let ended = match &host {
            Some(host) => {
                host.link_up(&link.peer);
                let machine = LinkMachine::new(Arc::clone(&self.replica), Arc::clone(&link.port));
                let identity = &self.local.identity;
                link_task::run(&**host, &self.limits, &link, &self.replica, machine, channel, identity)
                    .await
                    .inspect_err(|error| error.label().into_iter().for_each(|reason| self.refusals.count(reason)))
                    .map_err(|error| error.to_string())
            }
            None => Ok(()),
        };
        self.replica.remove_link(&link.port);
        match &ended {
            // However it ended: its connection may be the one that a cut has broken.
            _ if link.replaced.is_cancelled() => {
                tracing::info!(node = %self.local.node, peer = %link.peer, "link replaced by a newer one");
            }
            Ok(()) => tracing::info!(node = %self.local.node, peer = %link.peer, "link down"),
            // Two nodes that stop at once may miss each other's goodbye.
            // Two nodes that connect to each other at once keep one connection, and one of them may hear of it late.
            Err(error) if self.stopping.is_cancelled() || error.ends_with(ALREADY_LINKED) => {
                tracing::info!(node = %self.local.node, peer = %link.peer, error, "link down");
            }
            Err(error) => tracing::warn!(node = %self.local.node, peer = %link.peer, error, "link down"),
        }
        let peer = self.peer(&link.peer);
        // A replaced link goes down without notice: the peer is linked all the time.
        if peer.remove(&link, ended.err()) {
            self.publish_live_links(&peer);
            if let Some(host) = &host {
                host.link_down(&link.peer);
            }
        }
    }

    /// Takes a new snapshot of the live links, after the link of `peer` came up or went down.
    fn publish_live_links(&self, peer: &Peer) {
        let by_name = self.by_name.lock();
        let live: Vec<Arc<Link>> = by_name.values().filter_map(|peer| peer.link()).collect();
        // Published under the lock. Two links may change at once, and without it the older of the two snapshots could be
        // stored last and stay.
        self.live_count.send_replace(live.len());
        self.live.store(Arc::new(live));
        drop(by_name);
        peer.detector.link_changed.notify_waiters();
    }

    /// Queues a message on a link, or drops it.
    fn queue_message(&self, link: &Link, frame: &Bytes) {
        if !link.queue.push_message(frame.clone()) {
            tracing::debug!(node = %self.local.node, peer = %link.peer, "message queue full, message dropped");
        }
    }
}

/// Handshakes in progress, each with a stranger: a socket, 32 KiB ([`herd_identity::HANDSHAKE_BYTES_MAX`]) and 5 seconds at most; 8 MiB
/// together. All nodes of a herd on one machine may have the same address. An honest handshake is over in half a second, also between
/// continents and on a busy host.
const HANDSHAKES: HandshakeLimits =
    HandshakeLimits { total_max: 256, of_address_max: 64, honest_max: Duration::from_millis(500) };
/// End of the reason for which the second of two connections between the same processes is refused.
const ALREADY_LINKED: &str = "linked already";
/// Word for that reason. Two nodes that connect to each other at once have it, and it is no fault.
pub(super) const ALREADY_LINKED_LABEL: &str = "linked_already";
