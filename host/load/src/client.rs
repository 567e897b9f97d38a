//! The client's side of the line protocol, for the commands that talk to a herd from outside.
//!
//! Owns one connection to one node and the framing of replies. It knows nothing about the node's insides, of
//! reports or of clocks: [`track`] reads recordings, [`feed`] walks them through a herd, `report` says how it went.
//!
//! Bounds: every call has one deadline that covers all its reads and writes, a reply line is at most
//! [`REPLY_LINE_BYTES_MAX`] and the JSON of a `WHATSAT` at most [`JSON_BYTES_MAX`]. After an error or a cancelled call
//! the connection is given up: an answer might still be under way, and the next question must not receive it.

mod error;
mod exchange;
#[cfg(test)]
pub(crate) mod fake;
mod whats_at;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::exchange::Exchange;

pub use self::error::ClientError;
pub use self::whats_at::{WhatsAt, WhatsAtReply};

/// A connection to one node, used for one question at a time.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    timeout: Duration,
    /// Absent while a call is under way, and for good after one that failed or was cancelled.
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// Connects to a node. `timeout` bounds the connecting, and then each question with its answer.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`] and [`ClientError::ConnectTimeout`].
    ///
    /// Cancel-safe: nothing is left behind.
    pub async fn connect(addr: SocketAddr, timeout_each: Duration) -> Result<Self, ClientError> {
        let stream = match timeout(timeout_each, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(ClientError::Connect { addr, source }),
            Err(_) => {
                return Err(ClientError::ConnectTimeout { addr, waited: timeout_each });
            }
        };
        // A question is one small write and waits for its answer, the worst case of Nagle's algorithm. A kernel that
        // refuses this only makes us slower.
        let _ = stream.set_nodelay(true);
        Ok(Client { addr, timeout: timeout_each, stream: Some(BufReader::new(stream)) })
    }

    /// Whether another question may be put. False for good after an error or a cancelled call.
    pub fn is_usable(&self) -> bool {
        self.stream.is_some()
    }

    /// Sends one line (without its end) and returns the first line of the answer, without its end.
    ///
    /// # Errors
    ///
    /// Any but those of connecting. The connection is given up then.
    ///
    /// Not cancel-safe: the node may have taken the line; the client refuses further use.
    pub async fn request(&mut self, line: &str) -> Result<String, ClientError> {
        self.exchange(line, async |exchange| exchange.line().await).await
    }

    /// Asks where `client` is and what is within `radius_km` kilometres of it, at most `bound` results.
    ///
    /// # Errors
    ///
    /// Any but those of connecting. The connection is given up then.
    ///
    /// Not cancel-safe: the client refuses further use.
    pub async fn whats_at(&mut self, client: &str, radius_km: f64, bound: u8) -> Result<WhatsAtReply, ClientError> {
        let question = format!("WHATSAT {client} {radius_km} {bound}");
        self.exchange(&question, async |exchange| {
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

    /// Puts one question under the deadline. The stream is put back only after a whole answer.
    async fn exchange<T>(
        &mut self,
        question: &str,
        read: impl AsyncFnOnce(&mut Exchange) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let addr = self.addr;
        let Some(stream) = self.stream.take() else {
            return Err(ClientError::Closed { addr });
        };
        let mut exchange = Exchange { addr, stream };
        let answer = timeout(self.timeout, async {
            exchange.send(question).await?;
            read(&mut exchange).await
        })
        .await
        .map_err(|_| ClientError::AnswerTimeout { addr, waited: self.timeout })??;
        self.stream = Some(exchange.stream);
        Ok(answer)
    }
}

/// Enough of a strange answer to recognise what kind of server gave it.
const UNEXPECTED_CHARS_SHOWN: usize = 60;

#[cfg(test)]
mod tests;
