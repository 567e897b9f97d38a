//! Two nodes with a link between them, through a network that the test cuts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use herd_identity::{Connection, HandshakeError, Identity, PeerError, Protocol};
use herd_replication::{LinkPort, NoJournal, Replica, ReplicaConfig, WireReport};
use herd_sys::TrafficLog;
use herd_sys::workers::Workers;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::handshake;
use crate::test_identity::{LIFETIME, TestAuthority};
use crate::{LinkLimits, LinkState, LocalNode, Peers, PeersHost};

/// Goal: a link whose network was cut is up again as soon as the network is, although its connection is lost and nobody closes it, and is
/// never down in between. Method: connections that lose all bytes, and a listener that is gone, as long as the cut lasts.
#[tokio::test]
async fn suspect_link_is_replaced_once_the_network_is_back() {
    let mut pair = Pair::link().await;
    pair.network.cut();
    pair.await_states(LinkState::Silent).await;
    pair.network.heal();
    pair.await_states(LinkState::Up).await;
    pair.await_messages().await;
    assert_eq!(pair.hosts.each_ref().map(|host| host.downs.load(Ordering::SeqCst)), [0, 0]);
    assert!(pair.hosts.iter().all(|host| host.ups.load(Ordering::SeqCst) >= 2));
    // The lost connection is closed by both ends, also by one that has written into it all the time.
    eventually("one connection", || pair.network.connections() == 1).await;
    pair.stop().await;
}

/// Goal: a peer that was slow keeps its link. Method: the lost bytes come after all, and nobody can connect meanwhile.
#[tokio::test]
async fn suspect_link_stays_if_its_peer_is_heard_first() {
    let mut pair = Pair::link().await;
    pair.network.cut();
    pair.await_states(LinkState::Silent).await;
    pair.network.deliver_again();
    pair.await_states(LinkState::Up).await;
    pair.network.heal();
    pair.await_messages().await;
    assert_eq!(pair.hosts.each_ref().map(|host| host.ups.load(Ordering::SeqCst)), [1, 1]);
    pair.stop().await;
}

/// Goal: a revocation ends the links of the node, and reaches the nodes that have not heard of it. Method: the list is given to one node;
/// the other learns of it over the link that then ends, or not at all.
#[tokio::test]
async fn revoked_node_loses_its_links_and_gets_no_new_one() {
    let mut pair = Pair::link().await;
    pair.authority.revoke(NAMES[0]);
    let riley = Arc::clone(&pair.peers[1]);
    let list = pair.authority.authority.trust().encode();
    assert!(riley.local.identity.learn(list.as_bytes()).unwrap());
    pair.await_states(LinkState::Down).await;
    let why = |peers: &Peers| peers.status().links[0].last_error.clone().unwrap_or_default();
    eventually("reason", || why(&riley).contains("was revoked")).await;
    eventually("refusal", || why(&pair.peers[0]).contains("the peer refused")).await;
    pair.stop().await;
}

/// Goal: news of a revocation pass on along links, and links between nodes that it does not concern stay. Method: a list that revokes a
/// third node.
#[tokio::test]
async fn revocation_passes_on_without_a_link_going_down() {
    let mut pair = Pair::link().await;
    let _campbell = pair.authority.issue("Campbell");
    pair.authority.revoke("Campbell");
    let list = pair.authority.authority.trust().encode();
    assert!(pair.peers[0].local.identity.learn(list.as_bytes()).unwrap());
    eventually("news", || pair.hosts[1].learned.load(Ordering::SeqCst) == 1).await;
    pair.await_messages().await;
    assert_eq!(pair.hosts.each_ref().map(|host| host.downs.load(Ordering::SeqCst)), [0, 0]);
    pair.stop().await;
}

/// Goal: a roll-over of the authority takes no link down. Method: both nodes get certificates of a new authority, then files that know
/// nothing of the old one, of which the certificates of their link are.
#[tokio::test]
async fn retirement_of_an_authority_replaces_links_before_it_ends_them() {
    let mut pair = Pair::link().await;
    pair.authority.roll();
    for retires in [false, true] {
        if retires {
            pair.authority.authority.retire().unwrap();
        }
        for (peers, name) in pair.peers.iter().zip(NAMES) {
            assert!(peers.local.identity.renew(&pair.authority.credentials(name)).unwrap());
        }
    }
    let ups = || pair.hosts.each_ref().map(|host| host.ups.load(Ordering::SeqCst));
    eventually("another link", || ups() == [2, 2]).await;
    pair.await_messages().await;
    assert_eq!(pair.hosts.each_ref().map(|host| host.downs.load(Ordering::SeqCst)), [0, 0]);
    pair.stop().await;
}

/// Goal: a node replaces a link that it opened before its own certificate there expires, where its peer may not be the one to connect. Method:
/// the clocks go on to shortly before the expiry, and only the node that connects has renewed.
#[tokio::test]
async fn link_is_replaced_before_the_own_certificate_expires() {
    let mut pair = Pair::link().await;
    pair.authority.elapsed_s.store(LIFETIME.as_secs() - 20, Ordering::SeqCst);
    assert!(pair.peers[0].local.identity.renew(&pair.authority.credentials(NAMES[0])).unwrap());
    let ups = || pair.hosts.each_ref().map(|host| host.ups.load(Ordering::SeqCst));
    eventually("another link", || ups() == [2, 2]).await;
    pair.await_messages().await;
    assert_eq!(pair.hosts.each_ref().map(|host| host.downs.load(Ordering::SeqCst)), [0, 0]);
    pair.stop().await;
}

/// Goal: the link port hands members that ask for the admin API to the node, and admits nobody else to it, nor an operator to a link.
/// Method: connections of members and of strangers to a node that is linked all the time.
#[tokio::test]
async fn admin_connections_reach_the_node_and_no_operator_gets_a_link() {
    let mut pair = Pair::link().await;
    let (mira, campbell) = (pair.authority.issue_operator("mira"), pair.authority.issue("Campbell"));
    let stranger = TestAuthority::of("other").issue_operator("mira");
    for member in [&mira, &campbell] {
        // The node of this test closes it at once, without a word.
        assert!(matches!(pair.end_of(member, Protocol::Admin).await, Err(HandshakeError::Io(_))));
    }
    let admins = || pair.hosts[1].admins.lock().clone();
    assert_eq!(admins(), ["operator mira of herd herd", "node Campbell of herd herd"]);
    let refused = pair.end_of(&mira, Protocol::Link).await.unwrap_err();
    assert!(matches!(refused, HandshakeError::Io(_)), "{refused}");
    let refused = pair.end_of(&stranger, Protocol::Admin).await.unwrap_err();
    assert!(matches!(&refused, HandshakeError::Peer(PeerError::WrongHerd { .. })), "{refused}");
    pair.authority.revoke_operator("mira");
    let list = pair.authority.authority.trust().encode();
    assert!(pair.peers[1].local.identity.learn(list.as_bytes()).unwrap());
    let refused = pair.end_of(&mira, Protocol::Admin).await.unwrap_err();
    assert!(matches!(&refused, HandshakeError::Refused(_)) && refused.to_string().contains("revoked"), "{refused}");
    assert_eq!(admins().len(), 2);
    pair.await_messages().await;
    assert_eq!(pair.hosts.each_ref().map(|host| host.downs.load(Ordering::SeqCst)), [0, 0]);
}

/// Goal: strangers are refused and counted by what was wrong with them. Method: a member of another herd, plain text, and a second process
/// with the key of a node that is linked.
#[tokio::test]
async fn refused_connections_are_counted_by_reason() {
    let mut pair = Pair::link().await;
    let riley = Arc::clone(&pair.peers[1]);
    let count = |reason: &str| riley.status().refused.get(reason).copied().unwrap_or(0);
    let dial = || TcpStream::connect(pair.network.target);
    dial().await.unwrap().write_all(b"IAMAT kiwi +34-118 0\n").await.unwrap();
    eventually("plain text", || count("not_tls") == 1).await;
    let another = TestAuthority::of("another").issue(NAMES[0]);
    let _refused = another.connect(dial().await.unwrap(), Protocol::Link).await;
    eventually("another herd", || count("wrong_herd") + count("refused_by_peer") == 1).await;
    let second = LocalNode { epoch: 99, identity: pair.authority.issue(NAMES[0]), ..pair.peers[0].local.clone() };
    let refused = handshake::initiate(dial().await.unwrap(), &second, NAMES[1]).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("another process that is named Jaquez")));
    eventually("second process", || count("name_in_use") == 1).await;
    assert_eq!(riley.status().links[0].state, LinkState::Up);
    pair.stop().await;
}

/// Two nodes, of which Jaquez connects to Riley.
struct Pair {
    network: Network,
    peers: [Arc<Peers>; 2],
    hosts: [Arc<Host>; 2],
    authority: TestAuthority,
    /// Threads of the link tasks.
    _workers: Workers,
}

impl Pair {
    async fn link() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Network::to(listener.local_addr().unwrap()).await;
        let hosts = [(); 2].map(|()| Arc::<Host>::default());
        let mut authority = TestAuthority::of("herd");
        let peers = NAMES.map(|name| peers(name, &mut authority));
        let workers = Workers::start().unwrap();
        let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let [jaquez, riley] = &peers;
        let to_riley = vec![(NAMES[1].to_string(), network.address.into())];
        riley.start(listener, vec![], hosts[1].clone(), workers.rotation());
        jaquez.start(unused, to_riley, hosts[0].clone(), workers.rotation());
        let pair = Self { network, peers, hosts, authority, _workers: workers };
        pair.await_states(LinkState::Up).await;
        pair
    }

    async fn await_states(&self, state: LinkState) {
        let of = |peers: &Peers| peers.status().links.first().map(|link| link.state);
        eventually(&format!("{state:?}"), || self.peers.iter().all(|peers| of(peers) == Some(state))).await;
    }

    /// Connects to the link port of Riley, and reads to the end. Returns the number of bytes, or why the end is one.
    async fn end_of(&self, identity: &Identity, protocol: Protocol) -> Result<usize, HandshakeError> {
        let stream = TcpStream::connect(self.network.target).await.unwrap();
        let mut connection = identity.connect(stream, protocol).await?;
        connection.stream.read_to_end(&mut Vec::new()).await.map_err(HandshakeError::of)
    }

    /// Sends a message in each direction until one has arrived, as senders of messages do.
    async fn await_messages(&self) {
        for (index, host) in self.hosts.iter().enumerate() {
            host.messages.store(0, Ordering::SeqCst);
            eventually("message", || {
                self.peers[1 - index].send(NAMES[index], &Bytes::from_static(b"prepare"));
                host.messages.load(Ordering::SeqCst) > 0
            })
            .await;
        }
    }

    async fn stop(self) {
        for peers in &self.peers {
            peers.stop(LONGEST).await;
        }
    }
}

fn peers(name: &str, authority: &mut TestAuthority) -> Arc<Peers> {
    let (herd, epoch) = ("herd".into(), name.len() as u64);
    let contract = "herd:logic@0.1.0".into();
    let local = LocalNode { herd, node: name.into(), epoch, identity: authority.issue(name), contract };
    // A link that is silent for two hours ends, so that no test passes because of it.
    let limits = LinkLimits { ping_ms: 3_600_000, ..LinkLimits::default() };
    let replica = Arc::new(Replica::new(ReplicaConfig::for_tests(name), NoJournal));
    Peers::new(local, limits, NAMES.map(Into::into).into(), replica)
}

/// A node that counts what its links tell it.
#[derive(Default)]
struct Host {
    ups: AtomicUsize,
    downs: AtomicUsize,
    messages: AtomicUsize,
    learned: AtomicUsize,
    /// Members that asked for the admin API.
    admins: Mutex<Vec<String>>,
}

impl PeersHost for Host {
    fn receive_reports(&self, _: &LinkPort, _: &[WireReport<'_>]) -> Result<(), String> {
        Ok(())
    }

    fn acknowledged(&self) {}

    fn receive_message(&self, _: &str, _: &[u8]) -> Result<(), String> {
        self.messages.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn receive_code_message(&self, _: &str, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn link_up(&self, _: &str) {
        self.ups.fetch_add(1, Ordering::SeqCst);
    }

    fn link_down(&self, _: &str) {
        self.downs.fetch_add(1, Ordering::SeqCst);
    }

    fn trust_learned(&self) {
        self.learned.fetch_add(1, Ordering::SeqCst);
    }

    fn accept_admin(&self, connection: Connection<TcpStream>, _: SocketAddr) {
        self.admins.lock().push(connection.peer.subject().to_string());
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        None
    }
}

/// Connections to one address that can be cut. Those that were there keep the bytes sent meanwhile, and further ones are refused.
struct Network {
    address: SocketAddr,
    target: SocketAddr,
    listening: CancellationToken,
    /// True if the connections opened since the last cut deliver.
    delivers: watch::Sender<bool>,
    connections: Arc<Mutex<usize>>,
}

impl Network {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::default());
        let listening = CancellationToken::new();
        let network = Self { address, target, listening, delivers: watch::Sender::new(true), connections };
        network.listen(listener);
        network
    }

    fn cut(&self) {
        self.listening.cancel();
        self.delivers.send_replace(false);
    }

    /// Lets the connections go on that the cut has stopped. Further ones stay refused.
    fn deliver_again(&self) {
        self.delivers.send_replace(true);
    }

    /// Takes connections again. The old ones stay as they are.
    fn heal(&mut self) {
        (self.listening, self.delivers) = (CancellationToken::new(), watch::Sender::new(true));
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.listen(TcpListener::from_std(listener).unwrap());
    }

    fn connections(&self) -> usize {
        *self.connections.lock()
    }

    fn listen(&self, listener: TcpListener) {
        let (delivers, target, listening) = (self.delivers.subscribe(), self.target, self.listening.clone());
        let connections = Arc::clone(&self.connections);
        tokio::spawn(listening.run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (delivers, connections) = (delivers.clone(), Arc::clone(&connections));
                // Detached from the listener, because it outlives a cut.
                tokio::spawn(async move {
                    *connections.lock() += 1;
                    let (from, back) = stream.into_split();
                    let (answers, to) = TcpStream::connect(target).await.unwrap().into_split();
                    let there = carry(from, to, delivers.clone());
                    tokio::join!(there, carry(answers, back, delivers));
                    *connections.lock() -= 1;
                });
            }
        }));
    }
}

/// Carries bytes to the end of a connection. Those that arrive during a cut wait for its end, if it has one.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut delivers: watch::Receiver<bool>) {
    let (mut waiting, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        let passes = *delivers.borrow_and_update();
        if passes && !waiting.is_empty() && to.write_all(&std::mem::take(&mut waiting)).await.is_err() {
            return;
        }
        tokio::select! {
            read = from.read(&mut bytes) => match read {
                Ok(count @ 1..) => waiting.extend_from_slice(&bytes[..count]),
                _ => return,
            },
            Ok(()) = delivers.changed() => {}
        }
    }
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let holds = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONGEST, holds).await.unwrap_or_else(|_| panic!("{what}: not within {LONGEST:?}"));
}

const NAMES: [&str; 2] = ["Jaquez", "Riley"];
/// Far beyond what a busy machine needs; a passing test never waits that long.
const LONGEST: Duration = Duration::from_secs(30);
