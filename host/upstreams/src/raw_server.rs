//! A server on loopback for the tests, which speaks bytes and so can do everything wrong.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What is done with a connection.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Read a request, write these bytes, close.
    Write(Vec<u8>),
    /// Read a request, write these bytes, and wait for the client to go.
    Hold(Vec<u8>),
    /// Answer every request on it with these bytes.
    Serve(Vec<u8>),
    /// Read a request, write these bytes, and then the others again and again until the client goes.
    Flood(Vec<u8>, Vec<u8>),
    /// Write these bytes without waiting for a request, and close.
    Shout(Vec<u8>),
    /// Reset at once.
    Reset,
}

/// A server. Stops when dropped.
pub(super) struct RawServer {
    pub(super) address: SocketAddr,
    requests: mpsc::Receiver<String>,
    _tasks: JoinSet<()>,
}

impl RawServer {
    /// The connections get one act each, and all beyond them the last one.
    pub(super) async fn start(acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel(100);
        let acts = acts.to_vec();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for index in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let act = acts[index.min(acts.len() - 1)].clone();
                connections.spawn(perform(act, stream, sender.clone()));
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    /// Answers everything with this status and body.
    pub(super) async fn answering(status: &str, body: &str) -> Self {
        Self::start(&[Act::Write(answer(status, body))]).await
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the next request that came: head and body as they were sent.
    pub(super) async fn next_request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }

    /// How many requests came that nobody has looked at.
    pub(super) fn requests_left(&self) -> usize {
        self.requests.len()
    }
}

/// A well-formed answer.
pub(super) fn answer(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn perform(act: Act, mut stream: TcpStream, requests: mpsc::Sender<String>) {
    match &act {
        Act::Reset => return stream.set_zero_linger().unwrap(),
        Act::Shout(bytes) => return stream.write_all(bytes).await.unwrap_or_default(),
        _ => {}
    }
    while let Some(request) = read_request(&mut stream).await {
        requests.send(request).await.unwrap();
        // The client may be gone at any time; then this connection is over.
        match &act {
            Act::Write(bytes) => {
                let _ = stream.write_all(bytes).await;
                return;
            }
            Act::Hold(bytes) => {
                let _ = stream.write_all(bytes).await;
                let _ = stream.read(&mut [0]).await;
                return;
            }
            Act::Serve(bytes) => {
                let _ = stream.write_all(bytes).await;
            }
            Act::Flood(head, rest) => {
                let _ = stream.write_all(head).await;
                while stream.write_all(rest).await.is_ok() {}
                return;
            }
            Act::Shout(_) | Act::Reset => return,
        }
    }
}

/// `None` if the client went before it had sent a whole request.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = vec![];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
