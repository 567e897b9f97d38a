//! A raw TCP server on loopback for tests. It writes bytes and knows no HTTP, so it can violate the protocol in any way.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Behaviour on one connection.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Reads a request, writes these bytes and closes.
    Write(Vec<u8>),
    /// Reads a request, writes these bytes and waits until the client closes.
    Hold(Vec<u8>),
    /// Answers every request with these bytes.
    Serve(Vec<u8>),
    /// Reads a request, writes the first bytes, and repeats the second ones until the client closes.
    Flood(Vec<u8>, Vec<u8>),
    /// Writes these bytes without waiting for a request and closes.
    WriteFirst(Vec<u8>),
    /// Resets the connection at once.
    Reset,
}

/// The server, which stops when dropped.
pub(super) struct RawServer {
    pub(super) address: SocketAddr,
    requests: mpsc::Receiver<String>,
    _tasks: JoinSet<()>,
}

impl RawServer {
    /// Starts a server whose connections behave by one act each, and later ones by the last act.
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

    /// Starts a server that answers every request with this status and body.
    pub(super) async fn answering(status: &str, body: &str) -> Self {
        Self::start(&[Act::Write(answer(status, body))]).await
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the next request and returns its head and body as they were sent.
    pub(super) async fn next_request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }

    /// Returns the number of requests received and not taken by `next_request`.
    pub(super) fn requests_left(&self) -> usize {
        self.requests.len()
    }
}

/// Returns a well-formed answer.
pub(super) fn answer(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn perform(act: Act, mut stream: TcpStream, requests: mpsc::Sender<String>) {
    match &act {
        Act::Reset => return stream.set_zero_linger().unwrap(),
        Act::WriteFirst(bytes) => return stream.write_all(bytes).await.unwrap_or_default(),
        _ => {}
    }
    while let Some(request) = read_request(&mut stream).await {
        requests.send(request).await.unwrap();
        // A client that closed early fails these writes, which is part of some tests.
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
            Act::WriteFirst(_) | Act::Reset => return,
        }
    }
}

/// Returns a whole request, or `None` if the client closed before its end.
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
