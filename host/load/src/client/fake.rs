//! A node for the tests of this module: it answers each line as a function says and keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The end of an answer after which the fake node closes the connection.
const CLOSE: &str = "!close";

/// A listener on a free loopback port. Dropped, it is gone with all its connections.
pub(crate) struct FakeNode {
    pub(crate) addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl FakeNode {
    /// Starts a node that sends what `answer` gives for each line; `None` closes the connection instead, and so does
    /// an answer that ends in `!close`, once it is out.
    pub(crate) async fn start(answer: impl FnMut(&str) -> Option<String> + Send + 'static) -> FakeNode {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(answer));
        let mut tasks = JoinSet::new();
        let asked_by_all = asked.clone();
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, asked) = (answer.clone(), asked_by_all.clone());
                sessions.spawn(serve(stream, asked, move |line| (answer.lock().unwrap())(line)));
            }
        });
        FakeNode { addr, asked, _tasks: tasks }
    }

    /// The lines received so far, over all connections.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, asked: Arc<Mutex<Vec<String>>>, answer: impl Fn(&str) -> Option<String>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        asked.lock().unwrap().push(line.clone());
        let Some(text) = answer(&line) else { return };
        let (text, close) = text.strip_suffix(CLOSE).map_or((text.as_str(), false), |text| (text, true));
        if lines.get_mut().write_all(text.as_bytes()).await.is_err() || close {
            return;
        }
    }
}
