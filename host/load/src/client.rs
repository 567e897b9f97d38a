//! Client of the line protocol, for commands that talk to a herd from outside.
//!
//! Owns one connection to one node and the framing of its replies. Knows nothing of reports or clocks:
//! [`track`](crate::track) reads recordings, and [`feed`](crate::feed) replays them.
//!
//! Bounds: a call has one deadline for all its reads and writes, a reply line has at most 128 KiB and the JSON of a `WHATSAT` at
//! most 4 MiB. After an error or a cancelled call the connection is abandoned: an answer may still be under way, and the next
//! request must not receive it.

mod error;
mod exchange;
#[cfg(test)]
pub(crate) mod fake;
mod whats_at;

use std::net::SocketAddr;
use std::time::Duration;

use herd_client::ClientTls;
use herd_client::stream::NodeStream;
use tokio::io::BufReader;
use tokio::time::timeout;

use self::exchange::Exchange;

pub use self::error::ClientError;
pub use self::whats_at::{WhatsAt, WhatsAtReply};

/// Connection to one node, for one request at a time.
///
/// ```
/// use std::time::Duration;
///
/// use herd_load::client::Client;
/// use tokio::io::AsyncWriteExt;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// // A stand-in for a node.
/// let node = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let address = node.local_addr()?;
/// # let node = tokio::spawn(async move {
/// #     let (mut session, _) = node.accept().await?;
/// #     session.write_all(b"AT Riley +0.5 kiwi +34.068930-118.445127 1.5\n").await
/// # });
///
/// let mut client = Client::connect(address, None, Duration::from_secs(5)).await?;
/// let answer = client.request("IAMAT kiwi +34.068930-118.445127 1.5").await?;
/// assert!(answer.starts_with("AT Riley "));
/// assert!(client.is_usable());
/// # node.await??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    timeout: Duration,
    /// None during a call, and for good after one that failed or was cancelled.
    stream: Option<BufReader<NodeStream>>,
}

impl Client {
    /// Connects to a node, with TLS if there are settings for it. `timeout_each` bounds the connection attempt, and then each request with
    /// its answer.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`] and [`ClientError::ConnectTimeout`].
    ///
    /// Cancel safe: the socket is closed.
    pub async fn connect(
        addr: SocketAddr,
        tls: Option<&ClientTls>,
        timeout_each: Duration,
    ) -> Result<Self, ClientError> {
        let stream = match timeout(timeout_each, NodeStream::connect(addr, tls)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(ClientError::Connect { addr, source }),
            Err(_) => {
                return Err(ClientError::ConnectTimeout { addr, waited: timeout_each });
            }
        };
        Ok(Client { addr, timeout: timeout_each, stream: Some(BufReader::new(stream)) })
    }

    /// Returns false for good after an error or a cancelled call: then connect again.
    pub fn is_usable(&self) -> bool {
        self.stream.is_some()
    }

    /// Sends a line and returns the first line of the answer, both without their line ends.
    ///
    /// # Errors
    ///
    /// Any but those of connecting. The client refuses further use, and the node may have accepted the line.
    ///
    /// Not cancel safe: the client refuses further use.
    pub async fn request(&mut self, line: &str) -> Result<String, ClientError> {
        self.exchange(line, async |exchange| exchange.line().await).await
    }

    /// Sends a `WHATSAT` for the location of `client` and at most `bound` places within `radius_km` kilometres of it.
    ///
    /// # Errors
    ///
    /// Any but those of connecting. The client refuses further use.
    ///
    /// Not cancel safe: the client refuses further use.
    pub async fn whats_at(&mut self, client: &str, radius_km: f64, bound: u8) -> Result<WhatsAtReply, ClientError> {
        let line = format!("WHATSAT {client} {radius_km} {bound}");
        self.exchange(&line, async |exchange| {
            let at_line = exchange.line().await?;
            if at_line.starts_with("? ") {
                return Ok(WhatsAtReply::Invalid(at_line));
            }
            if !at_line.starts_with("AT ") {
                let start = at_line.chars().take(UNEXPECTED_CHARS_SHOWN).collect();
                return Err(ClientError::Unexpected { addr: exchange.addr, start });
            }
            let json = exchange.json().await?;
            Ok(WhatsAtReply::Known(WhatsAt { at_line, json }))
        })
        .await
    }

    /// Sends a line and reads its answer under one deadline.
    async fn exchange<T>(
        &mut self,
        line: &str,
        read: impl AsyncFnOnce(&mut Exchange) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let addr = self.addr;
        // Taken, and put back only after a complete answer, so that an error or a cancelled call leaves the client unusable.
        let Some(stream) = self.stream.take() else {
            return Err(ClientError::Closed { addr });
        };
        let mut exchange = Exchange { addr, stream };
        let answer = timeout(self.timeout, async {
            exchange.send(line).await?;
            read(&mut exchange).await
        })
        .await
        .map_err(|_| ClientError::AnswerTimeout { addr, waited: self.timeout })??;
        self.stream = Some(exchange.stream);
        Ok(answer)
    }
}

/// Characters of an unexpected answer in an error, enough to recognize the kind of server.
const UNEXPECTED_CHARS_SHOWN: usize = 60;

#[cfg(test)]
mod tests;
