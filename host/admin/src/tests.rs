//! Server and client together, over loopback; those of the socket, of the link port and of slow clients are in files of their own.

mod guests;
mod members;
mod slow_clients;
mod sockets;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use herd_identity::{Authority, Clock, Identity, Role};
use herd_model::limits::{GUEST_BYTES_MAX, SIGNATURES_BYTES_MAX, TRANSCRIPTS_BYTES_MAX};
use herd_model::{GuestFiles, RollbackOptions, Share};
use herd_sys::clock::unix_now;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::connections::ConnectionLimits;
use super::*;

const NOTHING: GuestFiles<'_> = GuestFiles { guest: &[], transcripts: None, signatures: None };
const DAY: Duration = Duration::from_secs(86_400);

/// Node that answers every operation with its arguments.
struct EchoHost;

impl AdminHost for EchoHost {
    fn status(&self) -> Value {
        json!({ "node": "Riley" })
    }

    fn trace(&self, options: &TraceOptions) -> Value {
        json!({ "options": options })
    }

    fn log(&self) -> Result<Value, Refusal> {
        Ok(json!({ "filter": "info" }))
    }

    fn set_log(&self, options: &LogOptions, operator: &str) -> Result<Value, Refusal> {
        match options.filter.as_str() {
            "debgu" => Err(Refusal::Conflict("`debgu` is not a level".into())),
            filter => Ok(json!({ "filter": filter, "operator": operator })),
        }
    }

    fn store_code(&self, code: &[u8], operator: &str) -> Result<Value, Refusal> {
        Ok(json!({ "bytes": code.len(), "operator": operator }))
    }

    fn herd_swap(&self, files: GuestFiles<'_>, _requester: &Requester, options: SwapOptions) -> Result<Value, Refusal> {
        let signatures = files.signatures.map(String::from_utf8_lossy);
        Ok(json!({
            "bytes": files.guest.len(),
            "transcripts": files.transcripts.map(<[u8]>::len),
            "signatures": signatures,
            "options": options,
        }))
    }

    fn herd_roll_back(&self, _requester: &Requester, _options: RollbackOptions) -> Result<Value, Refusal> {
        Err(Refusal::Busy("another swap is under way".into()))
    }

    fn swap(&self, files: GuestFiles<'_>, requester: &Requester, options: SwapOptions) -> Result<Value, Refusal> {
        Ok(
            json!({ "bytes": files.guest.len(), "transcripts": files.transcripts.map(<[u8]>::len), "operator": requester.name(), "options": options }),
        )
    }

    fn roll_back(&self, _operator: &str, options: RollbackOptions) -> Result<Value, Refusal> {
        match options.discard_records {
            true => Ok(json!({ "options": options })),
            false => Err(Refusal::Conflict("there is no previous generation".into())),
        }
    }

    fn begin_canary(&self, _files: GuestFiles<'_>, _operator: &str, options: ShareOptions) -> Result<Value, Refusal> {
        Ok(json!({ "options": options }))
    }

    fn widen_canary(&self, share: Share, _operator: &str) -> Result<Value, Refusal> {
        Ok(json!({ "share": share }))
    }

    fn end_canary(&self, _operator: &str) -> Result<Value, Refusal> {
        Ok(json!({}))
    }

    fn promote_canary(&self, _requester: &Requester, to: Promotion) -> Result<Value, Refusal> {
        Ok(json!({ "herd": to == Promotion::OfTheHerd }))
    }

    fn shadow(&self, _files: GuestFiles<'_>, _operator: &str, _options: ShareOptions) -> Result<Value, Refusal> {
        Err(Refusal::BadGuest("not parsed: the file is empty".into()))
    }

    fn shadow_report(&self) -> Value {
        json!({ "shadow": null })
    }

    fn end_shadow(&self, _operator: &str) -> Result<Value, Refusal> {
        Ok(json!({}))
    }
}

/// Node that answers every operation on records with its arguments.
struct EchoRecords;

impl RecordsHost for EchoRecords {
    fn forget(&self, key: &[u8], operator: &str) -> Result<Value, Refusal> {
        Ok(json!({ "key": key, "operator": operator }))
    }

    fn list(&self, page: &PageOptions) -> Result<Value, Refusal> {
        Ok(json!({ "page": page }))
    }

    fn back_up(&self, directory: &Path, _operator: &str) -> Result<Value, Refusal> {
        Ok(json!({ "to": directory }))
    }

    fn restore(&self, directory: &Path, _operator: &str) -> Result<Value, Refusal> {
        Ok(json!({ "from": directory }))
    }

    fn prove(&self) -> Result<Value, Refusal> {
        Ok(json!({ "links": [] }))
    }
}

/// Requests that reached a [`SlowHost`], in order.
type Begun = tokio::sync::mpsc::UnboundedReceiver<&'static str>;

/// Node whose swaps of the herd last until they are withdrawn, and whose other swaps begin only.
struct SlowHost(tokio::sync::mpsc::UnboundedSender<&'static str>);

impl AdminHost for SlowHost {
    fn status(&self) -> Value {
        json!({})
    }

    fn trace(&self, _options: &TraceOptions) -> Value {
        json!({})
    }

    fn log(&self) -> Result<Value, Refusal> {
        unreachable!("no test asks this")
    }

    fn set_log(&self, _options: &LogOptions, _operator: &str) -> Result<Value, Refusal> {
        unreachable!("no test asks this")
    }

    fn store_code(&self, _: &[u8], _: &str) -> Result<Value, Refusal> {
        unreachable!("no test asks this")
    }

    fn herd_swap(
        &self,
        _files: GuestFiles<'_>,
        requester: &Requester,
        _options: SwapOptions,
    ) -> Result<Value, Refusal> {
        self.0.send("herd swap").unwrap();
        tokio::runtime::Handle::current().block_on(requester.withdrawn().cancelled());
        self.0.send("herd swap withdrawn").unwrap();
        Err(Refusal::Withdrawn)
    }

    fn herd_roll_back(&self, _requester: &Requester, _options: RollbackOptions) -> Result<Value, Refusal> {
        self.0.send("herd rollback").unwrap();
        Ok(json!({}))
    }

    fn swap(&self, _files: GuestFiles<'_>, _requester: &Requester, _options: SwapOptions) -> Result<Value, Refusal> {
        self.0.send("swap").unwrap();
        Ok(json!({}))
    }

    fn roll_back(&self, _operator: &str, _options: RollbackOptions) -> Result<Value, Refusal> {
        self.0.send("rollback").unwrap();
        Ok(json!({}))
    }

    fn begin_canary(&self, _files: GuestFiles<'_>, _operator: &str, _options: ShareOptions) -> Result<Value, Refusal> {
        unreachable!("no test asks this")
    }

    fn widen_canary(&self, _share: Share, _operator: &str) -> Result<Value, Refusal> {
        unreachable!("no test asks this")
    }

    fn end_canary(&self, _operator: &str) -> Result<Value, Refusal> {
        unreachable!("no test asks this")
    }

    fn promote_canary(&self, _requester: &Requester, _to: Promotion) -> Result<Value, Refusal> {
        unreachable!("no test asks this")
    }

    fn shadow(&self, _files: GuestFiles<'_>, _operator: &str, _options: ShareOptions) -> Result<Value, Refusal> {
        unreachable!("no test asks this")
    }

    fn shadow_report(&self) -> Value {
        json!({})
    }

    fn end_shadow(&self, _operator: &str) -> Result<Value, Refusal> {
        unreachable!("no test asks this")
    }
}

/// Authority of a herd.
struct TestHerd {
    authority: Authority,
    _directory: TempDir,
}

impl TestHerd {
    fn new(herd: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::create(&directory.path().join("authority"), herd, DAY * 10, unix_now()).unwrap();
        Self { authority, _directory: directory }
    }

    fn member(&mut self, role: &Role) -> Arc<Identity> {
        let credentials = self.authority.issue(role, DAY, unix_now()).unwrap();
        Arc::new(Identity::new(credentials, Clock::system()).unwrap())
    }

    fn node(&mut self, name: &str) -> Arc<Identity> {
        self.member(&Role::Node(name.into()))
    }

    fn operator(&mut self, name: &str) -> Arc<Identity> {
        self.member(&Role::Operator(name.into()))
    }
}

struct Server {
    address: SocketAddr,
    /// The same address, with the token.
    node: Endpoint,
    token: Token,
    admin: Arc<Admin>,
    state: TempDir,
}

impl Server {
    async fn start() -> Self {
        let (stopped, listener) = Self::stopped(Arc::new(EchoHost)).await;
        stopped.go_on(listener);
        stopped
    }

    async fn slow() -> (Self, Begun) {
        let (begin, begun) = tokio::sync::mpsc::unbounded_channel();
        let (stopped, listener) = Self::stopped(Arc::new(SlowHost(begin))).await;
        stopped.go_on(listener);
        (stopped, begun)
    }

    /// A server that stands still: the system accepts connections and their bytes for it.
    async fn stopped(host: Arc<dyn AdminHost>) -> (Self, TcpListener) {
        let members = Members::new(TestHerd::new("five").node("Riley"), &BTreeMap::new()).unwrap();
        Self::with("Riley", host, members, ConnectionLimits::default()).await
    }

    async fn with(
        node: &str,
        host: Arc<dyn AdminHost>,
        members: Members,
        limits: ConnectionLimits,
    ) -> (Self, TcpListener) {
        let state = tempfile::tempdir().unwrap();
        let token = Token::read_or_create(state.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let admin = Admin::with_limits(node, host, Arc::new(EchoRecords), token.clone(), members, limits);
        let admin = Arc::new(admin);
        let node = Endpoint::tcp(node, address, token.clone());
        (Self { address, node, token, admin, state }, listener)
    }

    fn go_on(&self, listener: TcpListener) {
        let serving = Arc::clone(&self.admin);
        tokio::spawn(async move { serving.serve(listener).await });
    }

    fn client(&self) -> AdminClient {
        AdminClient::new().unwrap()
    }

    /// Waits until the node answers: it may not have noticed yet that another connection has ended.
    async fn answers(&self, node: &Endpoint) {
        let answered = async {
            while self.client().status(node).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), answered).await.expect("the node answers again");
    }

    /// Posts by hand, to send what the client never would. Returns status and body.
    async fn post(&self, path: &str, authorization: &str, body: Vec<u8>) -> (u16, Value) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let request = http.post(format!("http://{}{path}", self.address)).header("authorization", authorization);
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }
}

#[tokio::test]
async fn client_requests_arrive_with_their_options() {
    let server = Server::start().await;
    let (client, node) = (server.client(), &server.node);
    let swap = SwapOptions { again: true, ..SwapOptions::default() };
    let all = json!({ "again": true, "force": false, "unrehearsed": false, "reversible": false });
    assert_eq!(client.status(node).await.unwrap()["node"], "Riley");
    let swapped = client.swap(node, [1; 1000].as_slice().into(), swap).await.unwrap();
    assert_eq!((&swapped["bytes"], &swapped["options"]), (&json!(1000), &all));
    assert_eq!(swapped["operator"], format!("operator {} (as claimed)", operator()));
    assert_eq!(client.herd_swap(node, NOTHING, swap).await.unwrap()["options"], all);
    let share: Share = "5%".parse().unwrap();
    let canary = client.canary(node, NOTHING, ShareOptions { share, swap }).await.unwrap();
    let canary = &canary["options"];
    assert_eq!((&canary["share"], &canary["again"], &canary["reversible"]), (&json!("5"), &json!(true), &json!(false)));
    assert_eq!(client.widen_canary(node, share).await.unwrap()["share"], "5");
    assert_eq!(client.promote_canary(node, Promotion::OfTheHerd).await.unwrap()["herd"], true);
    assert_eq!(client.promote_canary(node, Promotion::OfThisNode).await.unwrap()["herd"], false);
}

#[tokio::test]
async fn requests_about_records_arrive_whatever_the_bytes_of_their_keys() {
    let server = Server::start().await;
    let (client, node) = (server.client(), &server.node);
    // Longer than a request line may be.
    let key: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    let forgotten = client.forget(node, &key).await.unwrap();
    assert_eq!(
        (&forgotten["key"], forgotten["operator"].as_str().unwrap()),
        (&json!(key), &*format!("operator {} (as claimed)", operator()))
    );
    let all = PageOptions { limit: 10, ..PageOptions::default() };
    assert_eq!(client.records(node, &all).await.unwrap()["page"], json!({ "prefix": "", "limit": 10 }));
    let next = PageOptions { prefix: HexBytes(b"ki".to_vec()), after: Some(HexBytes(vec![0, 255])), limit: 1 };
    let page = client.records(node, &next).await.unwrap();
    assert_eq!(page["page"], json!({ "prefix": "6b69", "after": "00ff", "limit": 1 }));
    let directory = Path::new("/var/backups/a b&c=d#é");
    assert_eq!(client.back_up(node, directory).await.unwrap()["to"], json!(directory));
    assert_eq!(client.restore(node, directory).await.unwrap()["from"], json!(directory));
    assert_eq!(client.prove(node).await.unwrap()["links"], json!([]));
    let latest = TraceOptions { key: HexBytes(key), stamp: None };
    assert_eq!(client.trace(node, &latest).await.unwrap()["options"], json!(latest));
    let random = HexBytes(vec![0xff; 8]);
    let stamp = ReportStamp { origin: "Jaquez".into(), started_ms: 1, random, worker: 2, seq: 3 };
    let traced = client.trace(node, &TraceOptions { key: HexBytes(b"ki".into()), stamp: Some(stamp) }).await.unwrap();
    let stamp = json!({ "origin": "Jaquez", "started_ms": 1, "random": "ffffffffffffffff", "worker": 2, "seq": 3 });
    assert_eq!(traced["options"], json!({ "key": "6b69", "stamp": stamp }));
    let (status, answer) =
        server.post("/v1/records/trace", &server.token.header(), br#"{"key":"6b","stamp":{}}"#.to_vec()).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("origin"), "{answer}");
    let (status, answer) =
        server.post("/v1/records/forget", &server.token.header(), br#"{"key":"kiwi"}"#.to_vec()).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("hexadecimal"), "{answer}");
    let (status, _) = server.post("/v1/records/forget", "Bearer wrong", br#"{"key":"6b"}"#.to_vec()).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn log_filter_is_shown_and_set_by_a_named_operator() {
    let server = Server::start().await;
    let (client, node) = (server.client(), &server.node);
    assert_eq!(client.log(node).await.unwrap()["filter"], "info");
    let set = client.set_log(node, &LogOptions { filter: "info,guest=debug".into() }).await.unwrap();
    assert_eq!(
        set,
        json!({ "filter": "info,guest=debug", "operator": format!("operator {} (as claimed)", operator()) })
    );
    let refused = client.set_log(node, &LogOptions { filter: "debgu".into() }).await.unwrap_err();
    assert_eq!(refused.to_string(), "`debgu` is not a level");
    let (status, _) = server.post("/v1/log", "Bearer wrong", br#"{"filter":"debug"}"#.to_vec()).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn refusals_keep_their_kind_and_their_reason() {
    let server = Server::start().await;
    let (client, node) = (server.client(), &server.node);
    let busy = client.herd_roll_back(node, RollbackOptions::default()).await.unwrap_err();
    assert!(matches!(&busy, AdminClientError::Busy(why) if why == "another swap is under way"), "{busy}");
    let conflict = client.roll_back(node, RollbackOptions::default()).await.unwrap_err();
    assert!(matches!(&conflict, AdminClientError::Refused(why) if why.contains("no previous")), "{conflict}");
    let share = ShareOptions { share: "5%".parse().unwrap(), swap: SwapOptions::default() };
    let bad = client.shadow(node, NOTHING, share).await.unwrap_err();
    assert!(matches!(&bad, AdminClientError::Refused(why) if why.starts_with("not parsed")), "{bad}");
}

#[tokio::test]
async fn rollback_is_told_whether_to_discard_records() {
    let server = Server::start().await;
    let options = RollbackOptions { discard_records: true };
    let answer = server.client().roll_back(&server.node, options).await.unwrap();
    assert_eq!(answer["options"]["discard_records"], true);
}

#[tokio::test]
async fn query_with_an_unknown_field_is_refused_after_the_body_was_read() {
    let server = Server::start().await;
    let authorization = server.token.header();
    for path in ["/v1/swap?forse=true", "/v1/herd/swap?forse=true", "/v1/canary?share=5&forse=true"] {
        // Larger than the buffers of a connection, so that an answer before the body would break it.
        let (status, answer) = server.post(path, &authorization, vec![0; 16 << 20]).await;
        let error = answer["error"].as_str().unwrap();
        assert!(
            status == 400 && error.contains("`forse`") && error.contains("`reversible`"),
            "{path}: {status} {error}"
        );
    }
    let (status, answer) = server.post("/v1/swap?again=true", &authorization, vec![]).await;
    assert_eq!((status, &answer["options"]["again"]), (200, &json!(true)));
}

#[tokio::test]
async fn token_is_required() {
    let server = Server::start().await;
    for authorization in ["", "Bearer ", "Bearer 0123", &server.token.header()[..40]] {
        let (status, answer) = server.post("/v1/swap", authorization, vec![]).await;
        assert_eq!((status, answer["error"].as_str().unwrap()), (401, "admin token missing or wrong"));
    }
}

/// Goal: an operator who gave up while the node stood still finds later that nothing happened. Method: requests whose connection
/// is closed before the server reads its first byte, as after a SIGSTOP, and one whose sender still waits.
#[tokio::test]
async fn request_that_was_given_up_while_the_node_stood_still_is_not_carried_out() {
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let (server, listener) = Server::stopped(Arc::new(SlowHost(begin))).await;
    for (path, bytes) in [("herd/swap", 100_000), ("herd/rollback", 0), ("swap", 1000), ("rollback", 0)] {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        let (token, host) = (server.token.header(), server.address);
        let head = format!("POST /v1/{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {token}\r\n");
        std::io::Write::write_all(&mut stream, format!("{head}content-length: {bytes}\r\n\r\n").as_bytes()).unwrap();
        std::io::Write::write_all(&mut stream, &vec![0; bytes]).unwrap();
    }
    let waiting = server.client();
    let (swapped, ()) = tokio::join!(waiting.swap(&server.node, NOTHING, SwapOptions::default()), async {
        server.go_on(listener);
    });
    swapped.unwrap();
    // Connections are accepted in order, so the others were read before.
    server.client().roll_back(&server.node, RollbackOptions::default()).await.unwrap();
    let carried_out: Vec<&str> = std::iter::from_fn(|| begun.try_recv().ok()).collect();
    assert_eq!(carried_out, ["swap", "rollback"], "of those who waited");
}

#[tokio::test]
async fn request_is_withdrawn_by_its_number() {
    let (server, mut begun) = Server::slow().await;
    let client = server.client();
    let options = SwapOptions::default();
    let (swapped, withdrawn) = tokio::join!(client.herd_swap(&server.node, NOTHING, options), async {
        assert_eq!(begun.recv().await, Some("herd swap"));
        let stranger = server.client().withdraw(&server.node).await;
        assert!(matches!(stranger, Err(AdminClientError::Refused(_))), "only its sender has the number: {stranger:?}");
        client.withdraw(&server.node).await
    });
    withdrawn.unwrap();
    assert_eq!(swapped.unwrap_err().to_string(), "cancelled by its operator; nothing changed");
    assert!(client.withdraw(&server.node).await.is_err(), "it is over");
}

#[tokio::test]
async fn request_is_withdrawn_when_its_sender_leaves() {
    let (server, mut begun) = Server::slow().await;
    let client = server.client();
    tokio::select! {
        swapped = client.herd_swap(&server.node, NOTHING, SwapOptions::default()) => panic!("{swapped:?}"),
        first = begun.recv() => assert_eq!(first, Some("herd swap")),
    }
    assert_eq!(begun.recv().await, Some("herd swap withdrawn"));
}

#[tokio::test]
async fn client_names_the_file_of_a_refused_token() {
    let server = Server::start().await;
    let other = tempfile::tempdir().unwrap();
    let stranger = Endpoint::tcp("Riley", server.address, Token::read_or_create(other.path()).unwrap());
    let client = server.client();
    for answer in [client.status(&stranger).await, client.herd_roll_back(&stranger, RollbackOptions::default()).await] {
        let error = answer.unwrap_err().to_string();
        assert_eq!(error, format!("token refused; read from {}/admin.token", other.path().display()));
    }
}

/// Goal: a node whose process is stopped does not hold up an operator, and carries out nothing when it resumes. Method: a
/// listener that never accepts, so that only the system answers for it; a client with little patience.
#[tokio::test]
async fn client_gives_up_on_a_silent_node_before_it_sends_a_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = tempfile::tempdir().unwrap();
    let token = Token::read_or_create(state.path()).unwrap();
    let node = Endpoint::tcp("Riley", address, token);
    let client = AdminClient::with_sign_max(Duration::from_millis(50)).unwrap();
    let answers = [
        client.status(&node).await,
        client.shadow_report(&node).await,
        client.herd_roll_back(&node, RollbackOptions::default()).await,
        client.herd_swap(&node, GuestFiles::from([1; 1000].as_slice()), SwapOptions::default()).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(AdminClientError::Silent { .. })), "{answer:?}");
    }
    // Everything that the node finds when it resumes.
    for asked in ["GET /v1/status", "GET /v1/shadow", "GET /livez", "GET /livez"] {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = String::new();
        stream.read_to_string(&mut received).await.unwrap();
        assert!(received.starts_with(asked), "{received}");
        assert!(!received.contains("POST"), "{received}");
    }
}

/// Goal: a node that is stopped while it swaps does not hold up an operator for minutes. Method: a server that gives one sign,
/// takes one request and answers nothing more.
#[tokio::test]
async fn client_gives_up_on_a_node_that_falls_silent_during_a_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = tempfile::tempdir().unwrap();
    let token = Token::read_or_create(state.path()).unwrap();
    let node = Endpoint::tcp("Riley", address, token);
    let client = AdminClient::with_sign_max(Duration::from_millis(50)).unwrap();
    let stopped = tokio::spawn(async move {
        let (mut sign, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\n") {
            received.push(sign.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        sign.write_all(answer).await.unwrap();
        let (request, _) = listener.accept().await.unwrap();
        (received, request, listener)
    });
    let answer = client.herd_roll_back(&node, RollbackOptions::default()).await;
    assert!(matches!(answer, Err(AdminClientError::Stalled(_))), "{answer:?}");
    let (sign, mut request, _listener) = stopped.await.unwrap();
    assert!(sign.starts_with(b"GET /livez"), "{sign:?}");
    let mut received = String::new();
    // To its end: the client has closed the connection, so the node can tell that nobody waits for the answer.
    request.read_to_string(&mut received).await.unwrap();
    assert!(received.starts_with("POST /v1/herd/rollback"), "{received}");
}

#[tokio::test]
async fn stop_ends_the_server() {
    let server = Server::start().await;
    server.client().status(&server.node).await.unwrap();
    server.admin.stop();
    for _ in 0..1000 {
        if matches!(server.client().status(&server.node).await, Err(AdminClientError::Unreachable(_))) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the server still answers");
}
