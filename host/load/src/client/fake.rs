//! Fake node for tests: answers each line as a function says, and records the lines.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Suffix of an answer after which the fake node closes the connection.
const CLOSE: &str = "!close";

/// Fake node on a free port of loopback. Closes all connections when dropped.
pub(crate) struct FakeNode {
    pub(crate) addr: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl FakeNode {
    /// Starts a node that sends what `answer` returns for each line. `None` closes the connection, and so does the suffix
    /// `!close`, after the answer.
    pub(crate) async fn start(answer: impl FnMut(&str) -> Option<String> + Send + 'static) -> FakeNode {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(answer));
        let mut tasks = JoinSet::new();
        let received_by_all = received.clone();
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, received) = (answer.clone(), received_by_all.clone());
                sessions.spawn(serve(stream, received, move |line| (answer.lock().unwrap())(line)));
            }
        });
        FakeNode { addr, received, _tasks: tasks }
    }

    /// Returns the lines received so far on all connections.
    pub(crate) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, received: Arc<Mutex<Vec<String>>>, answer: impl Fn(&str) -> Option<String>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        received.lock().unwrap().push(line.clone());
        let Some(text) = answer(&line) else { return };
        let (text, close) = text.strip_suffix(CLOSE).map_or((text.as_str(), false), |text| (text, true));
        if lines.get_mut().write_all(text.as_bytes()).await.is_err() || close {
            return;
        }
    }
}
