//! Classic peers of a replica: programs on loopback that take lines in their own way.

use std::sync::Arc;
use std::time::Duration;

use herd_replication::{NewRecord, NoJournal, Replica, ReplicaConfig};
use herd_sys::workers::{self, Workers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{ClassicConnections, ClassicLimits, ClassicPeerState, ClassicPeers};
use crate::tests::eventually;

/// A node with classic peers.
struct Node {
    replica: Arc<Replica>,
    workers: Workers,
}

impl Node {
    fn new() -> Self {
        workers::set_count(1);
        let replica = Arc::new(Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal));
        Self { replica, workers: Workers::start().unwrap() }
    }

    /// Begins to send, to peers that have nothing to be sent yet.
    async fn peers(&self, connections: ClassicConnections, listeners: &[&TcpListener]) -> ClassicPeers {
        let addresses: Vec<_> =
            listeners.iter().map(|listener| listener.local_addr().unwrap().to_string().parse().unwrap()).collect();
        let limits = ClassicLimits { connections, queue_bytes_max: 1 << 20, resend: None };
        let peers = ClassicPeers::start(&self.replica, &addresses, limits, None, &self.workers.rotation());
        // What is kept during the first scan may be sent twice.
        eventually("the table was read", || peers.status().iter().all(|peer| !peer.resending)).await;
        peers
    }

    fn keep(&self, key: &str, rank: &str, record: &str) {
        let new = new(key, rank, record);
        let _ = self.replica.keep(0, new);
    }
}

fn new<'a>(key: &'a str, rank: &'a str, record: &'a str) -> NewRecord<'a> {
    let [key, rank, record] = [key, rank, record].map(str::as_bytes);
    NewRecord { key, rank, form: 1, record, expires_at: 0, only: None }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Accepts a connection and reads it to its end.
async fn connection(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut lines = String::new();
    stream.read_to_string(&mut lines).await.unwrap();
    lines
}

/// Goal: the oldest programs take one line of a connection, and are sent each record once. Method: such a program, and records of which one
/// is that of another guest, and one would be two lines.
#[tokio::test]
async fn classic_peer_is_sent_each_record_on_a_connection_of_its_own() {
    let (node, listener) = (Node::new(), listener().await);
    let peers = node.peers(ClassicConnections::PerLine, &[&listener]).await;
    node.keep("a", "1", "AT Riley +1 a +1+1 1");
    assert_eq!(connection(&listener).await, "AT Riley +1 a +1+1 1\n");
    node.keep("a", "0", "AT Riley +1 a +1+1 0");
    node.keep("b", "1", "OK 1");
    node.keep("c", "1", "AT Riley\nAT");
    let _ = node.replica.keep(0, NewRecord { form: 2, ..new("d", "1", "AT Riley +1 d +1+1 1") });
    node.keep("e", "1", "AT Riley +1 e +1+1 1");
    assert_eq!(connection(&listener).await, "AT Riley +1 e +1+1 1\n", "and not what lost or is no line");
    peers.stop(Duration::from_secs(60)).await;
    let status = &peers.status()[0];
    assert_eq!((status.state, status.sent, status.skipped, status.failures), (ClassicPeerState::Up, 2, 3, 0));
}

#[tokio::test]
async fn classic_peer_is_not_sent_what_came_from_it_unless_others_have_its_address() {
    let (node, one, other) = (Node::new(), listener().await, listener().await);
    let loopback = [127, 0, 0, 1].into();
    let alone = node.peers(ClassicConnections::PerLine, &[&one]).await;
    assert!(alone.at([127, 0, 0, 2].into()).is_none());
    let _ = node.replica.keep_from(0, new("a", "1", "AT a"), alone.at(loopback), None);
    node.keep("b", "1", "AT b");
    assert_eq!(connection(&one).await, "AT b\n");
    let both = Node::new().peers(ClassicConnections::PerLine, &[&one, &other]).await;
    assert!(both.at(loopback).is_none(), "which of the two is not known");
}

/// Goal: a program that was away, and may have been started again, lacks nothing. Method: a kept connection that the program ends.
#[tokio::test]
async fn classic_peer_that_was_away_is_sent_everything_again() {
    let (node, listener) = (Node::new(), listener().await);
    let peers = node.peers(ClassicConnections::Kept, &[&listener]).await;
    node.keep("a", "1", "AT a");
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut line = [0; 5];
    stream.read_exact(&mut line).await.unwrap();
    // An answer disturbs nothing.
    stream.write_all(b"? AT a\n").await.unwrap();
    node.keep("b", "1", "AT b");
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"AT b\n");
    drop(stream);
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut lines = [0; 10];
    stream.read_exact(&mut lines).await.unwrap();
    assert!([b"AT a\nAT b\n", b"AT b\nAT a\n"].contains(&&lines), "{lines:?}");
    assert_eq!((peers.status()[0].failures, peers.status()[0].resends), (1, 2));
}

/// Goal: a program that does not read costs its own records their time, and others nothing. Method: one that accepts nothing, beside one
/// that does, and more connections than wait for one that accepts nothing.
#[tokio::test]
async fn classic_peer_that_does_not_read_delays_no_other_one() {
    let (node, reading) = (Node::new(), listener().await);
    let stopped = {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(1).unwrap()
    };
    let peers = node.peers(ClassicConnections::PerLine, &[&stopped, &reading]).await;
    let (lines, mut read) = mpsc::unbounded_channel();
    tokio::spawn(async move { while lines.send(connection(&reading).await).is_ok() {} });
    for number in 0..200 {
        node.keep(&format!("k{number}"), "1", &format!("AT {number}"));
        assert_eq!(read.recv().await.unwrap(), format!("AT {number}\n"));
    }
    eventually("all were delivered", || peers.status()[1].sent == 200).await;
}
