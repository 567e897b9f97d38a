//! Fake node for tests: answers each line as a function says, and records the lines.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Reaction of a fake node to a line.
pub(crate) enum Reaction {
    /// Sends this text.
    Send(String),
    /// Says nothing.
    Silence,
    /// Sends this text and closes the connection.
    Close(String),
}

/// Fake node on a free port of loopback. Closes all connections when dropped.
pub(crate) struct FakeNode {
    pub(crate) address: String,
    received: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl FakeNode {
    /// Starts a node that reacts to a line, given the number of lines that all connections had before.
    pub(crate) async fn start(react: impl FnMut(usize, &str) -> Reaction + Send + 'static) -> FakeNode {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let received = Arc::new(Mutex::new(Vec::new()));
        let react = Arc::new(Mutex::new(react));
        let mut tasks = JoinSet::new();
        let received_by_all = Arc::clone(&received);
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (react, received) = (Arc::clone(&react), Arc::clone(&received_by_all));
                sessions.spawn(serve(stream, move |line| {
                    let mut received = received.lock().unwrap();
                    received.push(line.to_owned());
                    (react.lock().unwrap())(received.len() - 1, line)
                }));
            }
        });
        FakeNode { address, received, _tasks: tasks }
    }

    /// Starts a node that answers as a node with the default logic does, under this name.
    pub(crate) async fn good(name: &'static str) -> FakeNode {
        Self::start(move |_, line| Reaction::Send(answer(name, line))).await
    }

    /// Returns the lines received so far on all connections.
    pub(crate) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

/// Answer of the default logic, for which `lost` is an unknown client.
pub(crate) fn answer(name: &str, line: &str) -> String {
    let mut fields = line.splitn(2, ' ');
    match (fields.next(), fields.next()) {
        (Some("IAMAT"), Some(fields)) => format!("AT {name} +0.500000000 {fields}\n"),
        (Some("WHATSAT"), Some(fields)) if !fields.starts_with("lost ") => {
            let client = fields.split(' ').next().unwrap();
            format!("AT {name} +0.5 {client} +34-118 1.5\n{{\"results\": [],\n \"status\": \"ZERO_RESULTS\"}}\n\n")
        }
        _ => format!("? {line}\n"),
    }
}

async fn serve(stream: TcpStream, mut react: impl FnMut(&str) -> Reaction) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (text, is_last) = match react(&line) {
            Reaction::Send(text) => (text, false),
            Reaction::Silence => continue,
            Reaction::Close(text) => (text, true),
        };
        if lines.get_mut().write_all(text.as_bytes()).await.is_err() || is_last {
            return;
        }
    }
}
