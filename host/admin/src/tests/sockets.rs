//! Server and client together, over the socket; and what TCP refuses.

use super::*;

/// State directory in which no other test has a socket, and the socket of Riley in it.
struct Socketed {
    server: Server,
    node: Endpoint,
    path: std::path::PathBuf,
    served: tokio::task::JoinHandle<()>,
}

impl Socketed {
    async fn start(host: Arc<dyn AdminHost>) -> Self {
        let (server, _) = Server::stopped(host).await;
        let state = server.state.path().join("herd");
        let socket = AdminSocket::bind(&state, "Riley", None).unwrap();
        let (path, admin) = (socket.path(), Arc::clone(&server.admin));
        let served = tokio::spawn(async move { admin.serve_socket(socket).await });
        Self { node: Endpoint::socket("Riley", &state), path, served, server }
    }
}

#[tokio::test]
async fn socket_needs_no_token_and_names_the_user() {
    let socketed = Socketed::start(Arc::new(EchoHost)).await;
    let (client, node) = (socketed.server.client(), &socketed.node);
    assert!(node.has_socket());
    assert_eq!(client.status(node).await.unwrap()["node"], "Riley");
    let swap = SwapOptions { again: true, ..SwapOptions::default() };
    let guest = vec![1; GUEST_BYTES_MAX];
    let swapped = client.swap(node, guest.as_slice().into(), swap).await.unwrap();
    assert_eq!((&swapped["bytes"], &swapped["options"]["again"]), (&json!(GUEST_BYTES_MAX), &json!(true)));
    let who = swapped["operator"].as_str().unwrap();
    let uid = format!("uid {} at ", rustix::process::geteuid().as_raw());
    assert!(who.starts_with("operator ") && who.contains(&uid) && !who.contains("(as claimed)"), "{who}");
    let key: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    assert_eq!(client.forget(node, &key).await.unwrap()["key"], json!(key));
    let busy = client.herd_roll_back(node, RollbackOptions::default()).await.unwrap_err();
    assert!(matches!(&busy, AdminClientError::Busy(_)), "{busy}");
}

/// Goal: a name in a header counts for nothing over the socket. Method: a request by hand that claims another user.
#[tokio::test]
async fn socket_ignores_the_name_that_a_request_claims() {
    let socketed = Socketed::start(Arc::new(EchoHost)).await;
    let mut stream = tokio::net::UnixStream::connect(&socketed.path).await.unwrap();
    let head = "POST /v1/swap HTTP/1.1\r\nhost: x\r\nherd-operator: somebody else\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"operator\""), "{answer}");
    assert!(!answer.contains("somebody else"), "{answer}");
}

#[tokio::test]
async fn socket_request_is_withdrawn_when_its_sender_leaves() {
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let socketed = Socketed::start(Arc::new(SlowHost(begin))).await;
    let client = socketed.server.client();
    tokio::select! {
        swapped = client.herd_swap(&socketed.node, NOTHING, SwapOptions::default()) => panic!("{swapped:?}"),
        first = begun.recv() => assert_eq!(first, Some("herd swap")),
    }
    assert_eq!(begun.recv().await, Some("herd swap withdrawn"));
}

#[tokio::test]
async fn socket_is_removed_when_the_server_stops_and_a_dead_one_has_no_answer() {
    let socketed = Socketed::start(Arc::new(EchoHost)).await;
    let (client, node) = (socketed.server.client(), &socketed.node);
    assert!(socketed.path.exists());
    socketed.server.admin.stop();
    socketed.served.await.unwrap();
    assert!(!socketed.path.exists());
    assert!(matches!(client.status(node).await, Err(AdminClientError::NoSocket { .. })));
    // As a process leaves it that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socketed.path).unwrap());
    let dead = client.status(node).await.unwrap_err();
    assert!(
        matches!(&dead, AdminClientError::Unreachable(path) if *path == socketed.path.display().to_string()),
        "{dead}"
    );
    let state = socketed.server.state.path().join("herd");
    let _again = AdminSocket::bind(&state, "Riley", None).unwrap();
    assert!(node.has_socket());
}

/// Goal: a process that is stopped holds up no operator. Method: a socket that is never accepted from.
#[tokio::test]
async fn socket_of_a_silent_node_is_given_up() {
    let scratch = tempfile::tempdir().unwrap();
    let state = scratch.path().join("herd");
    let _socket = AdminSocket::bind(&state, "Riley", None).unwrap();
    let node = Endpoint::socket("Riley", &state);
    let client = AdminClient::with_sign_max(Duration::from_millis(50)).unwrap();
    for answer in [client.status(&node).await, client.herd_swap(&node, NOTHING, SwapOptions::default()).await] {
        assert!(matches!(answer, Err(AdminClientError::Silent { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn socket_in_a_directory_that_others_can_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let socketed = Socketed::start(Arc::new(EchoHost)).await;
    let directory = socketed.path.parent().unwrap();
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    let foreign = socketed.server.client().status(&socketed.node).await.unwrap_err();
    assert!(matches!(&foreign, AdminClientError::Foreign { socket, .. } if *socket == socketed.path), "{foreign}");
}

#[tokio::test]
async fn token_that_was_rotated_is_refused_at_once_and_the_new_one_is_not() {
    let server = Server::start().await;
    let (client, node) = (server.client(), &server.node);
    client.status(node).await.unwrap();
    for _ in 0..3 {
        let new = Token::rotate(server.state.path()).unwrap();
        assert!(matches!(client.status(node).await, Err(AdminClientError::TokenRefused(_))));
        client.status(&Endpoint::tcp("Riley", server.address, new)).await.unwrap();
    }
    std::fs::remove_file(server.token.path()).unwrap();
    let (status, answer) = server.post("/v1/swap", &server.token.header(), vec![]).await;
    assert!(status == 503 && answer["error"].as_str().unwrap().contains("cannot read its admin token"), "{answer}");
}

#[tokio::test]
async fn web_page_is_refused_even_with_the_token_and_counted() {
    let server = Server::start().await;
    let client = server.client();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    for (path, header, value) in [
        ("/v1/status", "origin", "https://example.org"),
        ("/v1/status", "host", "herd.example.org"),
        ("/v1/status", "sec-fetch-site", "cross-site"),
        ("/readyz", "origin", "null"),
    ] {
        let request =
            http.get(format!("http://{}{path}", server.address)).header("authorization", server.token.header());
        assert_eq!(request.header(header, value).send().await.unwrap().status(), 403, "{path} {header}");
    }
    server.post("/v1/swap", "Bearer wrong", vec![]).await;
    let status = client.status(&server.node).await.unwrap();
    assert_eq!(
        status["admin"]["refused"],
        json!({ "token": 1, "web_page": 4, "user": 0, "read_only": 0, "connections": 0, "silent": 0 })
    );
}

/// Process that answers an upgrade with its arguments.
struct EchoUpgrade;

impl UpgradeHost for EchoUpgrade {
    fn upgrade(&self, binary: Option<&Path>, operator: &str) -> Result<Value, Refusal> {
        Ok(json!({ "binary": binary, "operator": operator }))
    }
}

#[tokio::test]
async fn upgrade_is_taken_over_the_socket_and_refused_over_tcp() {
    let server = Server::start().await;
    let options = UpgradeOptions { binary: Some("/opt/herd".into()) };
    let refused = server.client().upgrade(&server.node, &options).await.unwrap_err();
    assert!(
        matches!(&refused, AdminClientError::Refused(why) if why.contains("over the admin socket only")),
        "{refused}"
    );
    let state = server.state.path().join("herd");
    let members = Members::new(TestHerd::new("five").node("Riley"), &BTreeMap::new()).unwrap();
    let admin = Admin::new("Riley", Arc::new(EchoHost), Arc::new(EchoRecords), server.token.clone(), members);
    let (admin, socket) =
        (admin.with_upgrade(Arc::new(EchoUpgrade)), AdminSocket::bind(&state, "Riley", None).unwrap());
    tokio::spawn(async move { admin.serve_socket(socket).await });
    let node = Endpoint::socket("Riley", &state);
    let ordered = server.client().upgrade(&node, &options).await.unwrap();
    assert_eq!(ordered["binary"], "/opt/herd");
    assert!(ordered["operator"].as_str().is_some_and(|who| !who.contains("(as claimed)")), "{ordered}");
}

#[tokio::test]
async fn upgrade_is_refused_by_a_process_that_cannot_be_upgraded() {
    let socketed = Socketed::start(Arc::new(EchoHost)).await;
    let refused = socketed.server.client().upgrade(&socketed.node, &UpgradeOptions::default()).await.unwrap_err();
    assert!(matches!(&refused, AdminClientError::Refused(_)), "{refused}");
}
