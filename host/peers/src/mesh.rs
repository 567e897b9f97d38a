//! Who is connected: one link per peer, whoever dialed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use herd_replication::{Bundle, WireReport};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connect;
use super::frame::Hello;
use super::handshake::{self, Frames, Identity};
use super::host::PeersHost;
use super::limits::LinkLimits;
use super::link_queue::LinkQueue;
use super::link_task;
use super::peer::{Link, Peer, lock};
use super::status::PeersStatus;
use herd_sys::workers::Rota;

/// The peers of a node.
pub struct Peers {
    pub(super) identity: Identity,
    pub(super) limits: LinkLimits,
    pub(super) stopping: CancellationToken,
    sink: Mutex<Option<Arc<dyn PeersHost>>>,
    tasks: TaskTracker,
    /// By name. Entries are made for the peers of the configuration and for nodes that dialed, and stay.
    links: Mutex<BTreeMap<String, Arc<Peer>>>,
    /// The live links, as flooding sees them: a snapshot that changes when a link comes or goes.
    live: arc_swap::ArcSwap<Vec<Arc<Link>>>,
    up: watch::Sender<usize>,
    handshakes: Semaphore,
    /// Who may link with this node, whatever side lists the link.
    known: Vec<String>,
}

impl Peers {
    /// No links yet. `known` are the nodes of the herd.
    #[must_use]
    pub fn new(identity: Identity, limits: LinkLimits, known: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            identity,
            limits,
            stopping: CancellationToken::new(),
            sink: Mutex::default(),
            tasks: TaskTracker::new(),
            links: Mutex::default(),
            live: arc_swap::ArcSwap::default(),
            up: watch::Sender::new(0),
            handshakes: Semaphore::new(HANDSHAKES_MAX),
            known,
        })
    }

    /// Begins: takes links on `listener` and dials `peers` until they answer.
    /// Links are spread over the workers.
    pub fn start(
        self: &Arc<Self>,
        listener: TcpListener,
        peers: Vec<(String, SocketAddr)>,
        sink: Arc<dyn PeersHost>,
        rota: Rota,
    ) {
        *lock(&self.sink) = Some(sink);
        for (name, address) in peers {
            let peer = self.peer(&name);
            self.tasks.spawn_on(connect::keep_linked(Arc::clone(self), peer, name, address), rota.next());
        }
        self.tasks.spawn(Arc::clone(self).accept(listener, rota));
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
    pub fn tell(&self, peer: &str, message: &Bytes) {
        let live = self.live.load();
        live.iter().filter(|link| link.peer == peer).for_each(|link| tell(link, message));
    }

    /// Says something to every peer but one, as [`tell`](Self::tell).
    pub fn tell_all(&self, except: Option<&str>, message: &Bytes) {
        let live = self.live.load();
        live.iter().filter(|link| except != Some(&*link.peer)).for_each(|link| tell(link, message));
    }

    /// Waits until links to this many peers are up. Cancel safe.
    pub async fn linked(&self, count: usize) {
        let _ = self.up.subscribe().wait_for(|up| *up >= count).await;
    }

    /// Says goodbye to every peer and ends, after what waits is sent or `grace` is over.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(grace, self.tasks.wait()).await;
        *lock(&self.sink) = None;
    }

    /// Every peer and its link.
    pub fn status(&self) -> PeersStatus {
        let links = lock(&self.links);
        PeersStatus { links: links.iter().map(|(name, peer)| peer.status(name)).collect() }
    }

    pub(super) fn sink(&self) -> Option<Arc<dyn PeersHost>> {
        lock(&self.sink).clone()
    }

    pub(super) fn peer(&self, name: &str) -> Arc<Peer> {
        Arc::clone(lock(&self.links).entry(name.into()).or_default())
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
        let admitted = peer.admit(hello.epoch, dialed, preferred, link);
        let link = admitted.ok_or_else(|| format!("{} and {} have a link already", self.identity.node, hello.node))?;
        self.changed(&peer);
        Ok(link)
    }

    /// Runs a link to its end, and says how long it lasted.
    ///
    /// # Errors
    ///
    /// Why it ended, if not on purpose.
    pub(super) async fn run(self: &Arc<Self>, frames: Frames, link: &Arc<Link>) -> Result<Duration, String> {
        tracing::info!(node = %self.identity.node, peer = %link.peer, "link up");
        let sink = self.sink();
        if let Some(sink) = &sink {
            sink.linked(&link.peer);
        }
        let ended = link_task::run(self, link, frames).await.map_err(|error| error.to_string());
        match &ended {
            Ok(()) => tracing::info!(node = %self.identity.node, peer = %link.peer, "link down"),
            Err(error) => tracing::warn!(node = %self.identity.node, peer = %link.peer, error, "link down"),
        }
        let peer = self.peer(&link.peer);
        if peer.dismiss(link, ended.clone().err()) {
            self.changed(&peer);
            if let Some(sink) = &sink {
                sink.unlinked(&link.peer);
            }
        }
        ended.map(|()| link.began.elapsed())
    }

    /// Makes the snapshot anew.
    fn changed(&self, peer: &Peer) {
        let links = lock(&self.links);
        let live: Vec<Arc<Link>> = links.values().filter_map(|peer| peer.link()).collect();
        // Both while the lock is held, or an older count could come after a newer one.
        self.up.send_replace(live.len());
        self.live.store(Arc::new(live));
        drop(links);
        peer.changed.notify_waiters();
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, rota: Rota) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    // More strangers than that at once are sent away; a peer comes back.
                    if self.handshakes.available_permits() == 0 {
                        tracing::debug!(%address, "too many handshakes under way");
                        continue;
                    }
                    let Ok(stream) = stream.into_std() else { continue };
                    self.tasks.spawn_on(Arc::clone(&self).greet(stream, address), rota.next());
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take links for a moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn greet(self: Arc<Self>, stream: std::net::TcpStream, address: SocketAddr) {
        let Ok(permit) = self.handshakes.try_acquire() else { return };
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        let _ = stream.set_nodelay(true);
        let greeted = handshake::answer(stream, &self.identity, |hello| {
            if !self.known.contains(&hello.node) {
                return Err(format!("{} knows no node of that name", self.identity.node));
            }
            self.admit(hello, false)
        });
        let greeted = greeted.await;
        drop(permit);
        match greeted {
            Ok((frames, link)) => drop(self.run(frames, &link).await),
            Err(error) => tracing::debug!(%address, %error, "handshake failed"),
        }
    }
}

fn tell(link: &Link, message: &Bytes) {
    if !link.queue.push_message(message.clone()) {
        tracing::debug!(peer = %link.peer, "too much waits for a peer, and a message is lost");
    }
}

thread_local! {
    /// Where a worker encodes a report, once for all links.
    static ENCODED: RefCell<Bundle> = RefCell::default();
}

/// Strangers whose handshake is under way.
const HANDSHAKES_MAX: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
