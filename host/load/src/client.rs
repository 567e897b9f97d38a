//! The client's side of the line protocol, for the commands that talk to a herd from outside.
//!
//! Owns one connection to one node and the framing of replies. It knows nothing about the node's insides, of
//! reports or of clocks: [`track`] reads recordings, [`feed`] walks them through a herd, `report` says how it went.
//!
//! Bounds: every call has one deadline that covers all its reads and writes, a reply line is at most
//! [`REPLY_LINE_BYTES_MAX`] and the JSON of a `WHATSAT` at most [`JSON_BYTES_MAX`]. After an error or a cancelled call
//! the connection is given up: an answer might still be under way, and the next question must not receive it.

#[cfg(test)]
pub(crate) mod fake;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection to one node, used for one question at a time.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    timeout: Duration,
    /// Absent while a call is under way, and for good after one that failed or was cancelled.
    stream: Option<BufReader<TcpStream>>,
}

/// What a node answered to a `WHATSAT`.
#[derive(Debug, PartialEq, Eq)]
pub enum WhatsAtReply {
    /// The node knows the client.
    Known(WhatsAt),
    /// The node holds the question invalid, as it does for a client it has not heard of. The line, without its end.
    Invalid(String),
}

/// The place of a client and what is near it.
#[derive(Debug, PartialEq, Eq)]
pub struct WhatsAt {
    /// The `AT` line, without its end.
    pub at_line: String,
    /// The JSON text that followed, without the newlines that end it. Not parsed.
    pub json: String,
}

/// Why a node was not reached or gave no answer. The connection is lost in every case, the node's state unknown:
/// it may have taken the line.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The connection was refused or failed. The node is down or the address is wrong.
    #[error("cannot connect to {addr}")]
    Connect {
        /// The node's address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The connection did not come about in time.
    #[error("no connection to {addr} within {} ms", waited.as_millis())]
    ConnectTimeout {
        /// The node's address.
        addr: SocketAddr,
        /// The time given.
        waited: Duration,
    },
    /// The whole answer was not there in time.
    #[error("no complete answer from {addr} within {} ms", waited.as_millis())]
    AnswerTimeout {
        /// The node's address.
        addr: SocketAddr,
        /// The time given.
        waited: Duration,
    },
    /// Reading or writing failed while an answer was awaited.
    #[error("connection to {addr} failed")]
    Io {
        /// The node's address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The node closed the connection before it had answered at all. Normal when it was idle for long, or when the
    /// node closes after every reply: connect again.
    #[error("{addr} closed the connection without an answer")]
    Closed {
        /// The node's address.
        addr: SocketAddr,
    },
    /// The node closed the connection in the middle of an answer.
    #[error("{addr} closed the connection within an answer")]
    CutShort {
        /// The node's address.
        addr: SocketAddr,
    },
    /// The answer grew over its limit. The node's fault, or it is no node of a herd.
    #[error("the {part} from {addr} is longer than {bytes_max} bytes")]
    TooLong {
        /// The node's address.
        addr: SocketAddr,
        /// Which part of the answer.
        part: &'static str,
        /// The limit it went over.
        bytes_max: usize,
    },
    /// The answer is not UTF-8, though everything sent was.
    #[error("the answer from {addr} is not UTF-8")]
    NotText {
        /// The node's address.
        addr: SocketAddr,
    },
    /// The answer to a `WHATSAT` begins like neither an `AT` line nor an invalid command.
    #[error("unexpected answer from {addr}: {start:?}")]
    Unexpected {
        /// The node's address.
        addr: SocketAddr,
        /// The first characters of the line.
        start: String,
    },
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
    pub async fn tell(&mut self, line: &str) -> Result<String, ClientError> {
        self.ask(line, async |exchange| exchange.line().await).await
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
        self.ask(&question, async |exchange| {
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
    async fn ask<T>(
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

impl WhatsAt {
    /// Whether the JSON at least has the outline of an object.
    pub fn has_object(&self) -> bool {
        let json = self.json.trim_ascii();
        json.starts_with('{') && json.ends_with('}')
    }
}

/// One question and its answer, in progress.
struct Exchange {
    addr: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Exchange {
    async fn send(&mut self, question: &str) -> Result<(), ClientError> {
        let mut bytes = Vec::with_capacity(question.len() + 1);
        bytes.extend_from_slice(question.as_bytes());
        bytes.push(b'\n');
        self.stream.write_all(&bytes).await.map_err(|source| self.failed(source))
    }

    /// Reads the first line of the answer.
    async fn line(&mut self) -> Result<String, ClientError> {
        let mut line = Vec::new();
        self.read_line("reply line", REPLY_LINE_BYTES_MAX, &mut line).await?;
        line.pop();
        self.text(line)
    }

    /// Reads lines until an empty one, which ends the JSON of a `WHATSAT`.
    async fn json(&mut self) -> Result<String, ClientError> {
        let mut json = Vec::new();
        loop {
            let start = json.len();
            self.read_line("JSON", JSON_BYTES_MAX, &mut json).await?;
            if json.len() == start + 1 {
                json.truncate(start.saturating_sub(1));
                return self.text(json);
            }
        }
    }

    /// Appends one line with its newline to `bytes`, which may not grow over `bytes_max`.
    async fn read_line(
        &mut self,
        part: &'static str,
        bytes_max: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), ClientError> {
        let addr = self.addr;
        let room = bytes_max.saturating_sub(bytes.len());
        let mut limited = (&mut self.stream).take(room as u64);
        let read = limited.read_until(b'\n', bytes).await.map_err(|source| self.failed(source))?;
        if read > 0 && bytes.last() == Some(&b'\n') {
            Ok(())
        } else if read == room {
            Err(ClientError::TooLong { addr, part, bytes_max })
        } else if bytes.is_empty() && part == "reply line" {
            Err(ClientError::Closed { addr })
        } else {
            Err(ClientError::CutShort { addr })
        }
    }

    /// A reset connection is the same to us as a closed one: the node had gone before it read the question.
    fn failed(&self, source: io::Error) -> ClientError {
        let addr = self.addr;
        match source.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ClientError::Closed { addr },
            _ => ClientError::Io { addr, source },
        }
    }

    fn text(&self, bytes: Vec<u8>) -> Result<String, ClientError> {
        String::from_utf8(bytes).map_err(|_| ClientError::NotText { addr: self.addr })
    }
}

/// A reply line holds the command it answers, and a command is at most 64 KiB unless configured otherwise: twice that.
const REPLY_LINE_BYTES_MAX: usize = 128 * 1024;

/// Twenty places are about 60 KiB; 4 MiB leaves room for sources that say more of each.
const JSON_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Enough of a strange answer to recognise what kind of server gave it.
const UNEXPECTED_CHARS_SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::fake::FakeNode;
    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn an_answer_is_split_into_its_line_and_its_json() {
        let node = FakeNode::start(|_| Some("AT N +0.1 c +1+2 3\n{\n \"a\": 1\n}\n\n".into())).await;
        let mut client = Client::connect(node.addr, WAIT).await.unwrap();
        for _ in 0..2 {
            let WhatsAtReply::Known(answer) = client.whats_at("c", 0.5, 3).await.unwrap() else { panic!("invalid") };
            assert_eq!(answer.at_line, "AT N +0.1 c +1+2 3");
            assert_eq!(answer.json, "{\n \"a\": 1\n}");
            assert!(answer.has_object());
        }
        assert_eq!(node.asked(), ["WHATSAT c 0.5 3", "WHATSAT c 0.5 3"]);
    }

    #[tokio::test]
    async fn an_invalid_question_has_no_json() {
        let node = FakeNode::start(|line| Some(format!("? {line}\n"))).await;
        let mut client = Client::connect(node.addr, WAIT).await.unwrap();
        let reply = client.whats_at("c", 0.0, 0).await.unwrap();
        assert_eq!(reply, WhatsAtReply::Invalid("? WHATSAT c 0 0".into()));
        assert_eq!(client.tell("HELLO").await.unwrap(), "? HELLO");
    }

    #[tokio::test]
    async fn a_server_of_another_kind_is_named() {
        let node = FakeNode::start(|_| Some("HTTP/1.1 400 Bad Request\n".into())).await;
        let mut client = Client::connect(node.addr, WAIT).await.unwrap();
        let error = client.whats_at("c", 0.0, 0).await.unwrap_err();
        assert_eq!(error.to_string(), format!("unexpected answer from {}: \"HTTP/1.1 400 Bad Request\"", node.addr));
    }

    #[tokio::test]
    async fn silence_is_a_timeout_and_ends_the_use_of_the_connection() {
        let node = FakeNode::start(|_| Some(String::new())).await;
        let mut client = Client::connect(node.addr, Duration::from_millis(20)).await.unwrap();
        assert!(matches!(client.tell("IAMAT").await, Err(ClientError::AnswerTimeout { .. })));
        assert!(!client.is_usable());
        assert!(matches!(client.tell("IAMAT").await, Err(ClientError::Closed { .. })));
    }

    #[tokio::test]
    async fn a_close_before_an_answer_differs_from_one_within() {
        let node = FakeNode::start(|_| None).await;
        let mut client = Client::connect(node.addr, WAIT).await.unwrap();
        assert!(matches!(client.tell("IAMAT").await, Err(ClientError::Closed { .. })));

        let node = FakeNode::start(|_| Some("AT N\n{\n!close".into())).await;
        let mut client = Client::connect(node.addr, WAIT).await.unwrap();
        assert!(matches!(client.whats_at("c", 0.0, 0).await, Err(ClientError::CutShort { .. })));
    }

    #[tokio::test]
    async fn answers_over_the_limit_are_refused() {
        let node = FakeNode::start(|_| Some("a".repeat(REPLY_LINE_BYTES_MAX + 1))).await;
        let mut client = Client::connect(node.addr, WAIT).await.unwrap();
        let error = client.tell("IAMAT").await.unwrap_err();
        assert!(matches!(error, ClientError::TooLong { part: "reply line", .. }), "{error}");

        let node = FakeNode::start(|_| Some(format!("AT N\n{}", "[]\n".repeat(JSON_BYTES_MAX / 3 + 1)))).await;
        let mut client = Client::connect(node.addr, WAIT).await.unwrap();
        let error = client.whats_at("c", 0.0, 0).await.unwrap_err();
        assert!(matches!(error, ClientError::TooLong { part: "JSON", .. }), "{error}");
    }

    #[tokio::test]
    async fn a_node_that_is_down_is_named() {
        let node = FakeNode::start(|_| None).await;
        let addr = node.addr;
        drop(node);
        // The port is free again, or soon: a listener that is being torn down may still take one connection.
        loop {
            if let Err(error) = Client::connect(addr, WAIT).await {
                assert_eq!(error.to_string(), format!("cannot connect to {addr}"));
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
