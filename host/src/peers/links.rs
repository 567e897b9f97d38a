//! Who is connected: one link per peer, whoever dialed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dial;
use super::frame::{Hello, ReportFrame, WireReport};
use super::handshake::{self, Frames, Identity};
use super::limits::LinkLimits;
use super::link::{self, Clocks};
use super::outbox::Outbox;
use crate::traffic::TrafficLog;

/// Takes what peers report.
pub trait Sink: Send + Sync + 'static {
    /// A frame of reports came from a peer. Decides and applies them before it returns.
    ///
    /// # Errors
    ///
    /// The frame is malformed, in words; the link is closed.
    fn reports(&self, from: &str, frame: &ReportFrame) -> Result<(), String>;

    /// Where every record goes that comes in and out, if anywhere.
    fn traffic(&self) -> Option<&TrafficLog>;
}

/// The peers of a node.
pub struct Peers {
    pub(super) identity: Identity,
    pub(super) limits: LinkLimits,
    pub(super) stopping: CancellationToken,
    sink: Mutex<Option<Arc<dyn Sink>>>,
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

/// One peer, connected or not.
#[derive(Default)]
pub(super) struct Peer {
    link: Mutex<Option<Arc<Link>>>,
    /// Changes when the link comes or goes.
    pub(super) changed: tokio::sync::Notify,
    last_error: Mutex<Option<String>>,
    dropped: std::sync::atomic::AtomicU64,
}

/// One live link.
pub(super) struct Link {
    pub(super) peer: String,
    pub(super) outbox: Outbox,
    pub(super) clocks: Mutex<Option<Clocks>>,
    /// Cancelled to end this link.
    pub(super) ending: CancellationToken,
    epoch: u64,
    /// This node dialed.
    dialed: bool,
    since: SystemTime,
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
    pub fn start(self: &Arc<Self>, listener: TcpListener, peers: Vec<(String, SocketAddr)>, sink: Arc<dyn Sink>) {
        *lock(&self.sink) = Some(sink);
        self.tasks.spawn(Arc::clone(self).accept(listener));
        for (name, address) in peers {
            let peer = self.peer(&name);
            self.tasks.spawn(dial::keep_linked(Arc::clone(self), peer, name, address));
        }
    }

    /// Tells every peer but `except`, or those that are named. Never waits.
    pub fn flood(&self, report: &WireReport<'_>, except: Option<&str>, only: Option<&[String]>) {
        let live = self.live.load();
        let mut encoded: Option<Bytes> = None;
        for link in live.iter() {
            if except == Some(&*link.peer) || only.is_some_and(|only| !only.contains(&link.peer)) {
                continue;
            }
            link.outbox.push(encoded.get_or_insert_with(|| report.encode()).clone());
        }
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

    pub(super) fn sink(&self) -> Option<Arc<dyn Sink>> {
        lock(&self.sink).clone()
    }

    pub(super) fn peer(&self, name: &str) -> Arc<Peer> {
        Arc::clone(lock(&self.links).entry(name.into()).or_default())
    }

    /// Makes a link of a connection whose peer said hello, and runs it to its end. Returns at once when the pair
    /// already has a link.
    pub(super) async fn run(self: &Arc<Self>, frames: Frames, hello: Hello, dialed: bool) -> Result<(), String> {
        let peer = self.peer(&hello.node);
        let Some(link) = self.admit(&peer, &hello, dialed) else {
            let why = format!("{} and {} have a link already", self.identity.node, hello.node);
            handshake::refuse(frames, &why).await;
            return Err(why);
        };
        tracing::info!(node = %self.identity.node, peer = %link.peer, dialed, "link up");
        let ended = link::run(self, &link, frames).await;
        match &ended {
            Ok(()) => tracing::info!(node = %self.identity.node, peer = %link.peer, "link down"),
            Err(error) => tracing::warn!(node = %self.identity.node, peer = %link.peer, %error, "link down"),
        }
        self.dismiss(&peer, &link, ended.err().map(|error| error.to_string()));
        Ok(())
    }

    /// The link, if there is to be one. Of two connections that were dialed at the same time, both sides keep the one
    /// that the node with the smaller name dialed.
    fn admit(&self, peer: &Peer, hello: &Hello, dialed: bool) -> Option<Arc<Link>> {
        let preferred = |dialed: bool| dialed == (self.identity.node < hello.node);
        let mut slot = lock(&peer.link);
        if let Some(old) = &*slot {
            let outlived = old.epoch != hello.epoch || old.dialed == dialed;
            if !outlived && !preferred(dialed) {
                return None;
            }
            old.ending.cancel();
        }
        let link = Arc::new(Link {
            peer: hello.node.clone(),
            outbox: Outbox::new(self.limits.queue_bytes_max()),
            clocks: Mutex::default(),
            ending: self.stopping.child_token(),
            epoch: hello.epoch,
            dialed,
            since: SystemTime::now(),
        });
        *slot = Some(Arc::clone(&link));
        drop(slot);
        peer.fail(None);
        self.changed(peer);
        Some(link)
    }

    fn dismiss(&self, peer: &Peer, link: &Arc<Link>, error: Option<String>) {
        peer.dropped.fetch_add(link.outbox.dropped(), std::sync::atomic::Ordering::Relaxed);
        let mut slot = lock(&peer.link);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            *slot = None;
            drop(slot);
            peer.fail(error);
            self.changed(peer);
        }
    }

    /// Makes the snapshot anew.
    fn changed(&self, peer: &Peer) {
        let links = lock(&self.links);
        let live: Vec<Arc<Link>> = links.values().filter_map(|peer| lock(&peer.link).clone()).collect();
        let up = live.len();
        self.live.store(Arc::new(live));
        drop(links);
        self.up.send_replace(up);
        peer.changed.notify_waiters();
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    // More strangers than that at once wait in the backlog of the socket.
                    if self.handshakes.available_permits() == 0 {
                        tracing::debug!(%address, "too many handshakes under way");
                        continue;
                    }
                    let peers = Arc::clone(&self);
                    self.tasks.spawn(async move { peers.greet(stream, address).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take links for a moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn greet(self: Arc<Self>, stream: tokio::net::TcpStream, address: SocketAddr) {
        let Ok(permit) = self.handshakes.try_acquire() else { return };
        let _ = stream.set_nodelay(true);
        let shaken = handshake::shake(stream, &self.identity).await;
        drop(permit);
        match shaken {
            Ok((frames, hello)) if self.known.contains(&hello.node) => {
                let _ = self.run(frames, hello, false).await;
            }
            Ok((frames, _)) => {
                handshake::refuse(frames, &format!("{} knows no node of that name", self.identity.node)).await;
            }
            Err(error) => tracing::debug!(%address, %error, "handshake failed"),
        }
    }
}

impl Peer {
    pub(super) fn is_linked(&self) -> bool {
        lock(&self.link).is_some()
    }

    /// Notes why there is no link.
    pub(super) fn fail(&self, why: Option<String>) {
        *lock(&self.last_error) = why;
    }

    fn status(&self, name: &str) -> LinkStatus {
        let link = lock(&self.link).clone();
        let clocks = link.as_ref().and_then(|link| *lock(&link.clocks));
        let dropped = self.dropped.load(std::sync::atomic::Ordering::Relaxed);
        LinkStatus {
            peer: name.into(),
            state: match &link {
                None => LinkState::Down,
                Some(link) if link.outbox.is_behind() => LinkState::Behind,
                Some(_) => LinkState::Up,
            },
            since_s: link.as_ref().map(|link| link.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()),
            queued_bytes: link.as_ref().map_or(0, |link| link.outbox.bytes()),
            dropped_reports: dropped + link.as_ref().map_or(0, |link| link.outbox.dropped()),
            round_trip_ms: clocks.map(|clocks| clocks.round_trip_ms()),
            clock_ahead_ms: clocks.map(|clocks| clocks.ahead_ms()),
            last_error: lock(&self.last_error).clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Peers, for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub struct PeersStatus {
    /// One per peer that is configured or has dialed.
    pub links: Vec<LinkStatus>,
}

/// What a link is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// There is none; it is being dialed if it is configured.
    Down,
    /// It carries reports.
    Up,
    /// It carries reports, and some were dropped since it came up because the peer was too slow.
    Behind,
}

/// One link.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStatus {
    /// The other node.
    pub peer: String,
    /// What the link is like.
    pub state: LinkState,
    /// Since when it is up, in seconds since the Unix epoch.
    pub since_s: Option<u64>,
    /// How much waits for the peer.
    pub queued_bytes: usize,
    /// How many reports were dropped because the peer was too slow, since the node started.
    pub dropped_reports: u64,
    /// How long a ping takes, there and back.
    pub round_trip_ms: Option<f64>,
    /// How far the peer's clock is ahead of this node's, as well as half a round trip tells.
    pub clock_ahead_ms: Option<f64>,
    /// Why there is no link, or why the last one ended.
    pub last_error: Option<String>,
}

/// Strangers whose handshake is under way.
const HANDSHAKES_MAX: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
