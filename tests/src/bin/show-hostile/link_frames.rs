//! The link protocol as an attacker writes it: frames byte by byte, because the crate of the links sends no wrong ones.
//!
//! A frame is a length of four bytes, a kind and a body. Bounds: [`ANSWER_MAX`] for an answer.

use std::io;
use std::time::Duration;

use herd_replication::{Epoch, Head, Lane, LaneId, LinkFrame, ReportFrame, Stamp, WireReport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Reply to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A hello: the link is up.
    Linked,
    /// A refusal in words, or the end of the connection.
    Refused,
}

/// Hello of a node.
pub(crate) fn hello(herd: &str, node: &str, epoch: u64) -> Vec<u8> {
    let mut body = vec![VERSION];
    for name in [herd, node] {
        put(&mut body, name.len() as u64);
        body.extend_from_slice(name.as_bytes());
    }
    put(&mut body, epoch);
    body.push(VERSION);
    frame(HELLO, &body)
}

/// Ping with this time.
pub(crate) fn ping(sent_ns: u64) -> Vec<u8> {
    let mut body = Vec::new();
    put(&mut body, sent_ns);
    frame(PING, &body)
}

/// Message of a rollout.
pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    frame(MESSAGE, bytes)
}

/// Frames with one report of a node, whose key has this reign.
pub(crate) fn report(node: &str, reign: u64) -> Vec<u8> {
    let lane = Lane { origin: node.into(), epoch: Epoch { started_ms: 1, random: 1 }, worker: 0 };
    let lanes = LinkFrame::Lanes(vec![(LaneId(0), lane)]);
    let head = Head::of(Stamp { lane: LaneId(0), seq: 1 });
    let report = WireReport { head, key: b"hostile", reign, rank: b"1", form: 1, record: b"record", extension: b"" };
    let mut body = Vec::new();
    report.encode(&mut body);
    let reports = LinkFrame::Reports(ReportFrame::new(body.into()));
    [lanes, LinkFrame::Vector(vec![]), reports].iter().flat_map(|of| frame(of.kind(), &of.body())).collect()
}

/// Sends a hello and waits for the reply.
///
/// # Errors
///
/// No reply came in time.
pub(crate) async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), hello: &[u8]) -> io::Result<Reply> {
    // What comes back says more than a failed write.
    let _ = stream.write_all(hello).await;
    let _ = stream.flush().await;
    let reply = timeout(ANSWER_MAX, read_frame(stream)).await?;
    Ok(match reply {
        Ok((HELLO, _)) => Reply::Linked,
        _ => Reply::Refused,
    })
}

/// Waits until the other side closes the connection, and returns whether it does in time.
pub(crate) async fn is_closed(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut discarded = vec![0; 16 << 10];
    let closed = async { while stream.read(&mut discarded).await.is_ok_and(|count| count > 0) {} };
    timeout(CLOSE_MAX, closed).await.is_ok()
}

/// Waits for the pong of a ping with this time.
///
/// # Errors
///
/// It does not come in time, or the connection ends.
pub(crate) async fn await_pong(stream: &mut (impl AsyncRead + Unpin), sent_ns: u64) -> io::Result<()> {
    let mut wanted = Vec::new();
    put(&mut wanted, sent_ns);
    let received = async {
        loop {
            let (kind, body) = read_frame(stream).await?;
            if kind == PONG && body.starts_with(&wanted) {
                return Ok(());
            }
        }
    };
    timeout(PONG_MAX, received).await?
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let length = stream.read_u32().await?;
    if !(1..=FRAME_BYTES_MAX).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let kind = stream.read_u8().await?;
    let mut body = vec![0; length as usize - 1];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(1 + body.len()).expect("frames here are short");
    [&length.to_be_bytes()[..], &[kind], body].concat()
}

/// Appends a number as postcard and replication write it.
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

const VERSION: u8 = 4;
const HELLO: u8 = 1;
const PING: u8 = 4;
const PONG: u8 = 5;
const MESSAGE: u8 = 7;
const FRAME_BYTES_MAX: u32 = 1 << 20;
/// Longest wait for the next step of a node in a handshake.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Beyond every timeout of a node here.
const CLOSE_MAX: Duration = Duration::from_secs(30);
const PONG_MAX: Duration = Duration::from_secs(60);
