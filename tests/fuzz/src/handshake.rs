//! Target: TLS of a link before the peer is known, and after.
//!
//! Bytes of a stranger never pass; bytes of a member that are altered on the way make nobody else of it; a stranger makes the node read at most
//! [`HANDSHAKE_BYTES_MAX`].

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use futures_util::future::join;
use herd_identity::{Authority, Clock, HANDSHAKE_BYTES_MAX, Identity, Protocol, Role};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

use crate::certificates::{NOW, YEAR};
use crate::input::{Input, push_step};

/// Bytes that an input may make the node hold, with those of the client and of the pipe between them.
pub const BYTES_MAX: usize = 1 << 20;

/// Runs an input: a byte that says who connects, then the bytes of a stranger, or the damage to those of a member.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let who = input.byte();
    if who & 1 == 0 {
        assert_eq!(stranger(input.rest()), None, "a stranger was let in");
    } else {
        let protocol = if who & 2 == 0 { Protocol::Link } else { Protocol::Admin };
        let is_unharmed = input.clone().step().is_none();
        let peer = member(input, protocol);
        assert!(peer.is_some() || !is_unharmed, "a member was refused");
        assert!(peer.is_none_or(|peer| peer == "Jaquez"), "a member became another one");
    }
}

/// Returns what strangers send, and damage.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![
        ("plain".into(), b"\0IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1614209128.918963997\n".to_vec()),
        ("http".into(), b"\0GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec()),
        ("long-record".into(), [&[0, 22, 3, 1, 0xff, 0xff], &[7; 40][..]].concat()),
        ("unharmed".into(), vec![1]),
        ("admin".into(), vec![3]),
    ];
    // Of a fixed length whatever its keys, and refused for them: every process of the target has keys of its own.
    let mut hello = vec![0];
    hello.extend(first_flight());
    seeds.push(("hello".into(), hello));
    for at in [0, 1, 3, 9, 44, 80, 200, 260, 700, 1_200] {
        let mut seed = vec![1];
        push_step(&mut seed, 0, &[&u16::to_le_bytes(at)[..], &[0x40]].concat());
        seeds.push((format!("flip-{at}"), seed));
    }
    seeds
}

struct Herd {
    riley: Identity,
    jaquez: Identity,
}

static HERD: LazyLock<Herd> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory for the authority");
    let mut authority = Authority::create(directory.path(), "five", YEAR * 10, NOW).expect("an authority");
    let mut issue = |node: &str| {
        let credentials = authority.issue(&Role::Node(node.into()), YEAR, NOW).expect("a certificate");
        Identity::new(credentials, Clock::new(|| NOW)).expect("a good certificate")
    };
    Herd { riley: issue("Riley"), jaquez: issue("Jaquez") }
});

/// Lets a stranger connect, and returns whom the node takes it for.
fn stranger(bytes: &[u8]) -> Option<String> {
    let (mut near, far) = duplex(1 << 16);
    let stream = Altered { inner: far, edits: Vec::new(), read: 0 };
    let sent = async {
        // The node may hang up first.
        let _ = near.write_all(bytes).await;
        let _ = near.shutdown().await;
    };
    let accepted = HERD.riley.accept(stream);
    settle(join(accepted, sent)).and_then(|(accepted, ())| accepted.ok()).map(|accepted| name(&accepted.peer))
}

/// Lets a member connect, over a network that alters what it sends, and returns whom the node takes it for.
fn member(mut input: Input<'_>, protocol: Protocol) -> Option<String> {
    let mut edits = Vec::new();
    while let Some((_, bytes)) = input.step() {
        let mut edit = Input::new(bytes);
        edits.push((edit.number(), edit.byte()));
    }
    let (near, far) = duplex(1 << 16);
    let stream = Altered { inner: far, edits, read: 0 };
    let connected = async {
        let Ok(mut connected) = HERD.jaquez.connect(near, protocol).await else { return };
        let _ = connected.stream.write_all(b"hello").await;
        let _ = connected.stream.shutdown().await;
    };
    let accepted = HERD.riley.accept(stream);
    settle(join(accepted, connected)).and_then(|(accepted, ())| accepted.ok()).map(|accepted| name(&accepted.peer))
}

fn name(peer: &herd_identity::Peer) -> String {
    peer.node().unwrap_or("an operator").into()
}

/// Returns the first bytes of a member.
fn first_flight() -> Vec<u8> {
    let (near, mut far) = duplex(1 << 16);
    let mut bytes = vec![0; 4096];
    let mut read = ReadBuf::new(&mut bytes);
    let mut connecting = Box::pin(HERD.jaquez.connect(near, Protocol::Link));
    let mut context = Context::from_waker(Waker::noop());
    assert!(connecting.as_mut().poll(&mut context).is_pending(), "a client waits for the server");
    let _ = Pin::new(&mut far).poll_read(&mut context, &mut read);
    let length = read.filled().len();
    bytes.truncate(length);
    bytes
}

/// Polls until it is done, or both sides wait for each other: damage to a length makes them do that. Nothing here wakes from elsewhere.
fn settle<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..16).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// A connection that flips bits of what is read, at offsets.
struct Altered {
    inner: DuplexStream,
    edits: Vec<(usize, u8)>,
    read: usize,
}

impl AsyncRead for Altered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        let bytes = &mut buffer.filled_mut()[before..];
        for (at, bits) in &this.edits {
            if let Some(byte) = at.checked_sub(this.read).and_then(|at| bytes.get_mut(at)) {
                *byte ^= bits;
            }
        }
        this.read += bytes.len();
        // Nothing is read behind the handshake here, so all of it came from somebody who was not known yet.
        assert!(this.read <= HANDSHAKE_BYTES_MAX, "{} bytes of a stranger are read", this.read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Altered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
