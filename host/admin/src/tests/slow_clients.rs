//! Clients that hold connections: that say nothing, or only the beginning of a request, and that are too many.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::*;

/// Node with short times, over TCP and a socket.
struct Impatient {
    server: Server,
    socket: std::path::PathBuf,
}

impl Impatient {
    async fn start(limits: ConnectionLimits) -> Self {
        let members = Members::new(TestHerd::new("five").node("Riley"), &BTreeMap::new()).unwrap();
        let (server, listener) = Server::with("Riley", Arc::new(EchoHost), members, limits).await;
        server.go_on(listener);
        let bound = AdminSocket::bind(&server.state.path().join("herd"), "Riley", None).unwrap();
        let (socket, admin) = (bound.path(), Arc::clone(&server.admin));
        tokio::spawn(async move { admin.serve_socket(bound).await });
        Self { server, socket }
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.server.address).await.unwrap()
    }

    async fn socket(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }
}

/// Sends a part of a request, and reads to the end of the connection.
async fn answer_to(mut stream: impl AsyncRead + AsyncWrite + Unpin, sent: &[u8]) -> String {
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    read.expect("the connection ends").unwrap();
    String::from_utf8(answer).unwrap()
}

/// Goal: nobody holds a connection by saying too little. Method: nothing, the beginning of a request, and a request with the beginning of
/// the next one, each over TCP and the socket; all connections end by themselves.
#[tokio::test]
async fn client_that_sends_no_whole_request_is_disconnected() {
    let limits = ConnectionLimits { header_max: Duration::from_millis(100), ..ConnectionLimits::default() };
    let node = Impatient::start(limits).await;
    let whole = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for part in ["", "GET /li", "GET /livez HTTP/1.1\r\nhost: localhost\r\nx: "] {
        for answer in
            [answer_to(node.tcp().await, part.as_bytes()).await, answer_to(node.socket().await, part.as_bytes()).await]
        {
            assert!(!answer.contains("alive"), "{answer}");
        }
        let both = [whole, part].concat();
        for answer in
            [answer_to(node.tcp().await, both.as_bytes()).await, answer_to(node.socket().await, both.as_bytes()).await]
        {
            assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.matches("alive").count() == 1, "{answer}");
        }
    }
}

/// Goal: connections beyond the limit are closed and counted, and do not take the places of the other way in. Method: all places over TCP
/// are held.
#[tokio::test]
async fn connections_over_the_limit_are_closed_and_counted() {
    let limits = ConnectionLimits { total_max: 2, header_max: DAY, ..ConnectionLimits::default() };
    let node = Impatient::start(limits).await;
    let held = [node.tcp().await, node.tcp().await];
    for _ in 0..3 {
        assert_eq!(answer_to(node.tcp().await, b"").await, "");
    }
    let socket = Endpoint::socket("Riley", &node.server.state.path().join("herd"));
    let status = node.server.client().status(&socket).await.unwrap();
    assert_eq!(status["admin"]["refused"]["connections"], 3);
    drop(held);
    node.server.answers(&node.server.node).await;
}

/// Goal: a client may ask again at any time. Method: it asks, does nothing until the node has ended what it would keep, and asks again; its
/// runtime does not run meanwhile, as that of a blocking client.
#[test]
fn client_asks_again_after_the_node_has_ended_idle_connections() {
    let (node_runtime, client_runtime) = (
        tokio::runtime::Runtime::new().unwrap(),
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
    );
    let limits = ConnectionLimits { header_max: Duration::from_millis(50), ..ConnectionLimits::default() };
    let node = node_runtime.block_on(Impatient::start(limits));
    let (client, endpoint) = (AdminClient::new().unwrap(), node.server.node.clone());
    client_runtime.block_on(client.status(&endpoint)).unwrap();
    node_runtime.block_on(async {
        let all_ended = async {
            while !node.server.admin.connections.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all_ended).await.expect("the node ends the connection");
    });
    client_runtime.block_on(client.status(&endpoint)).unwrap();
}
