//! Delivery of lines to a classic peer, over a connection for each or over one that is kept.
//!
//! A peer may answer what it likes: it is read and dropped, so that the peer never waits for this node to read. Knows nothing of records.
//! Bounds: the times below, connections at once, bytes of an answer on a connection for one line.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use herd_sys::connect;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Lines that could not be delivered. The peer may have some of them.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    /// No connection was accepted: the peer is away.
    #[error(transparent)]
    NotOpened(#[from] connect::NotOpened),
    /// The connection broke.
    #[error("{0}: {1}")]
    Broken(SocketAddr, io::Error),
    /// The peer does not read.
    #[error("{0} took no line for {WRITE_MAX:?}")]
    Unread(SocketAddr),
    /// The peer ended the connection before it had everything.
    #[error("{0} closed the connection")]
    Closed(SocketAddr),
}

/// Sends each line over a connection of its own, some at once, and calls `delivered` for each that was taken. Cancel safe but for the lines
/// that are under way.
///
/// # Errors
///
/// The first failure. Lines behind it were not sent.
pub(super) async fn send_each(
    addresses: &[SocketAddr],
    lines: &[Vec<u8>],
    delivered: impl Fn(&[u8]),
) -> Result<(), DeliveryError> {
    let mut sending = FuturesUnordered::new();
    for line in lines {
        if sending.len() >= CONNECTIONS_MAX
            && let Some(sent) = sending.next().await
        {
            delivered(sent?);
        }
        sending.push(send_alone(addresses, line));
    }
    while let Some(sent) = sending.next().await {
        delivered(sent?);
    }
    Ok(())
}

/// Sends one line, and returns it.
async fn send_alone<'a>(addresses: &[SocketAddr], line: &'a [u8]) -> Result<&'a [u8], DeliveryError> {
    let (stream, address) = connect::open(addresses, CONNECT_MAX).await?;
    let mut connection = Connection { stream, address };
    connection.send(line).await?;
    let broken = |error| DeliveryError::Broken(address, error);
    connection.stream.shutdown().await.map_err(broken)?;
    // A program that is done with a line closes. Waiting for that paces this node, and shows that the line was taken; one that does not
    // close has it all the same.
    match timeout(CLOSE_MAX, discard(&mut connection.stream.take(ANSWER_BYTES_MAX))).await {
        Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(broken(error)),
        _ => Ok(line),
    }
}

/// Connection that is kept.
pub(super) struct Connection {
    stream: TcpStream,
    address: SocketAddr,
}

impl Connection {
    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// The peer is away.
    pub(super) async fn open(addresses: &[SocketAddr]) -> Result<Self, DeliveryError> {
        let (stream, address) = connect::open(addresses, CONNECT_MAX).await?;
        // Lines are written in batches.
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, address })
    }

    /// Sends lines. Not cancel safe: part of a line may be sent.
    ///
    /// # Errors
    ///
    /// The connection broke or ended, or the peer does not read. The connection is of no more use.
    pub(super) async fn send(&mut self, lines: &[u8]) -> Result<(), DeliveryError> {
        let address = self.address;
        let (mut input, mut output) = self.stream.split();
        let written = async {
            for part in lines.chunks(PART_BYTES) {
                match timeout(WRITE_MAX, output.write_all(part)).await {
                    Ok(written) => written.map_err(|error| DeliveryError::Broken(address, error))?,
                    Err(_) => return Err(DeliveryError::Unread(address)),
                }
            }
            Ok(())
        };
        tokio::select! {
            biased;
            written = written => written,
            Err(error) = discard(&mut input) => Err(ended(address, error)),
        }
    }

    /// Waits until the connection breaks or the peer ends it, and says which. Cancel safe.
    pub(super) async fn end(&mut self) -> DeliveryError {
        let Err(error) = discard(&mut self.stream).await;
        ended(self.address, error)
    }
}

fn ended(address: SocketAddr, error: io::Error) -> DeliveryError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DeliveryError::Closed(address),
        _ => DeliveryError::Broken(address, error),
    }
}

/// Reads and drops what a peer sends, until the connection ends. Cancel safe.
async fn discard(input: &mut (impl AsyncRead + Unpin)) -> Result<Infallible, io::Error> {
    let mut dropped = [0; 1024];
    loop {
        if input.read(&mut dropped).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Connections to a peer at once, each with one line: a round trip takes a millisecond, and an older program handles some thousand lines a
/// second. Its queue of connections usually holds a hundred.
pub(super) const CONNECTIONS_MAX: usize = 16;
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Time for [`PART_BYTES`], so that a peer is given up that reads nothing, and not one that is slow.
const WRITE_MAX: Duration = Duration::from_secs(5);
const PART_BYTES: usize = 16 << 10;
/// Time for a peer to close a connection behind its line.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Bytes of an answer to one line that are read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
