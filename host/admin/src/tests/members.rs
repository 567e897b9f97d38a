//! Server and client over the link port, where certificates say who asks.

use std::io;

use herd_identity::{Connection, Protocol};
use herd_sys::HostPort;
use tokio::net::{TcpSocket, TcpStream};

use super::*;

/// A node of the herd `five` with a link port, which leads to its admin API only.
struct LinkPort {
    server: Server,
    /// Identity of the node itself.
    identity: Arc<Identity>,
    address: SocketAddr,
    /// The node at that port, for members of its herd.
    name: &'static str,
}

impl LinkPort {
    async fn start(herd: &mut TestHerd, name: &'static str, host: Arc<dyn AdminHost>) -> Self {
        // No test passes because a connection was idle for too long.
        let limits = ConnectionLimits { header_max: DAY, ..ConnectionLimits::default() };
        Self::with(herd, name, host, limits, &[]).await
    }

    async fn with(
        herd: &mut TestHerd,
        name: &'static str,
        host: Arc<dyn AdminHost>,
        limits: ConnectionLimits,
        others: &[(&str, SocketAddr)],
    ) -> Self {
        let identity = herd.node(name);
        let others = others.iter().map(|(node, address)| ((*node).to_string(), (*address).into())).collect();
        let members = Members::new(Arc::clone(&identity), &others).unwrap();
        let (server, _) = Server::with(name, host, members, limits).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (admin, accepting) = (Arc::clone(&server.admin), Arc::clone(&identity));
        tokio::spawn(async move {
            loop {
                let (stream, address) = listener.accept().await.unwrap();
                if let Ok(connection) = accepting.accept(stream).await {
                    admin.serve_member(connection, address);
                }
            }
        });
        Self { server, identity, address, name }
    }

    fn as_member(&self, identity: &Arc<Identity>) -> Endpoint {
        Endpoint::member(self.name, self.address, Arc::clone(identity))
    }

    async fn connect(&self, identity: &Identity) -> Connection<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        identity.connect(stream, Protocol::Admin).await.unwrap()
    }

    fn revoke(&self, herd: &mut TestHerd, role: &Role) {
        herd.authority.revoke(role, unix_now()).unwrap();
        assert!(self.identity.learn(herd.authority.trust().encode().as_bytes()).unwrap());
    }
}

/// Reads to the end of a connection, which has to be without an answer.
async fn end_of(mut connection: Connection<TcpStream>) {
    let mut read = Vec::new();
    match tokio::time::timeout(Duration::from_secs(60), connection.stream.read_to_end(&mut read)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}"),
        Err(_) => panic!("the connection stays open"),
    }
    assert!(read.is_empty(), "{}", String::from_utf8_lossy(&read));
}

#[tokio::test]
async fn operator_may_do_everything_and_is_named_by_its_certificate() {
    let mut herd = TestHerd::new("five");
    let riley = LinkPort::start(&mut herd, "Riley", Arc::new(EchoHost)).await;
    let mira = herd.operator("mira");
    let (client, node) = (riley.server.client(), riley.as_member(&mira));
    assert_eq!(client.status(&node).await.unwrap()["node"], "Riley");
    let guest = vec![1; GUEST_BYTES_MAX];
    let swapped = client.swap(&node, guest.as_slice().into(), SwapOptions::default()).await.unwrap();
    assert_eq!(swapped["bytes"], GUEST_BYTES_MAX);
    let serial = mira.credentials().certificate().serial().short();
    assert_eq!(swapped["operator"], format!("operator mira (certificate {serial}) at 127.0.0.1"));
    assert_eq!(client.forget(&node, b"kiwi").await.unwrap()["operator"], swapped["operator"]);
    assert_eq!(client.prove(&node).await.unwrap()["links"], json!([]));
    let busy = client.herd_roll_back(&node, RollbackOptions::default()).await.unwrap_err();
    assert!(matches!(&busy, AdminClientError::Busy(_)), "{busy}");
}

/// Goal: a node reads the status of another and nothing else. Method: a request of every kind, to a host that would carry out all of them.
#[tokio::test]
async fn node_reads_the_status_and_is_refused_everything_else() {
    let mut herd = TestHerd::new("five");
    let riley = LinkPort::start(&mut herd, "Riley", Arc::new(EchoHost)).await;
    let (client, node) = (riley.server.client(), riley.as_member(&herd.node("Jaquez")));
    let share = ShareOptions { share: "5%".parse().unwrap(), swap: SwapOptions::default() };
    let discard = RollbackOptions { discard_records: true };
    let page = PageOptions { limit: 10, ..PageOptions::default() };
    let refused = [
        client.swap(&node, [1; 1000].as_slice().into(), SwapOptions::default()).await,
        client.herd_swap(&node, NOTHING, SwapOptions::default()).await,
        client.roll_back(&node, discard).await,
        client.canary(&node, NOTHING, share).await,
        client.widen_canary(&node, share.share).await,
        client.promote_canary(&node, Promotion::OfTheHerd).await,
        client.end_canary(&node).await,
        client.end_shadow(&node).await,
        client.shadow_report(&node).await,
        client.herd_status(&node).await,
        client.forget(&node, b"kiwi").await,
        client.records(&node, &page).await,
        client.back_up(&node, Path::new("/tmp")).await,
        client.restore(&node, Path::new("/tmp")).await,
        client.prove(&node).await,
        client.withdraw(&node).await,
    ];
    let count = refused.len();
    for refused in refused {
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, AdminClientError::Refused(why) if why.contains("herd certs issue --operator")));
        assert!(refused.to_string().starts_with("the certificate of node Jaquez is for reading the status"));
    }
    // The client asks for a sign first, and would not have sent these at all. By hand, what it never sends:
    for request in ["POST /v1/status", "DELETE /v1/status", "POST /v1/swap", "GET /v1/status/", "GET //v1/status"] {
        let mut connection = riley.connect(&herd.node("Jaquez")).await;
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        connection.stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = connection.stream.read_to_string(&mut answer).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{request}: {answer}");
    }
    let status = client.status(&node).await.unwrap();
    assert_eq!(status["node"], "Riley");
    assert_eq!(status["admin"]["refused"]["read_only"], count + 5);
}

/// Goal: a revocation ends what an operator has begun, and lets it begin nothing more. Method: a swap under way and an idle connection,
/// beside those of an operator who stays.
#[tokio::test]
async fn revoked_operator_loses_its_open_connections_and_gets_no_new_one() {
    let mut herd = TestHerd::new("five");
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let riley = LinkPort::start(&mut herd, "Riley", Arc::new(SlowHost(begin))).await;
    let (mira, ada) = (herd.operator("mira"), herd.operator("ada"));
    let (client, node) = (riley.server.client(), riley.as_member(&mira));
    let (idle, mut stays) = (riley.connect(&mira).await, riley.connect(&ada).await);
    let (swapped, ()) = tokio::join!(client.herd_swap(&node, NOTHING, SwapOptions::default()), async {
        assert_eq!(begun.recv().await, Some("herd swap"));
        riley.revoke(&mut herd, &Role::Operator("mira".into()));
        assert_eq!(begun.recv().await, Some("herd swap withdrawn"));
    });
    assert!(matches!(swapped, Err(AdminClientError::Broken(_))), "{swapped:?}");
    end_of(idle).await;
    for answer in [client.status(&node).await, client.swap(&node, NOTHING, SwapOptions::default()).await] {
        let refused = answer.unwrap_err();
        assert!(matches!(&refused, AdminClientError::NoTrust(why) if why.contains("was revoked")), "{refused}");
    }
    stays.stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(stays.stream.read_u8().await.unwrap(), b'H', "of the answer");
    assert!(begun.try_recv().is_err(), "nothing else was carried out");
}

#[tokio::test]
async fn strangers_and_expired_operators_are_refused() {
    let mut herd = TestHerd::new("five");
    let riley = LinkPort::start(&mut herd, "Riley", Arc::new(EchoHost)).await;
    // Valid by the clock of its own host, which stands still.
    let past = unix_now() - Duration::from_secs(100);
    let expired = herd.authority.issue(&Role::Operator("mira".into()), Duration::from_secs(10), past).unwrap();
    let expired = Arc::new(Identity::new(expired, Clock::new(move || past)).unwrap());
    let client = riley.server.client();
    for (stranger, why) in [
        (TestHerd::new("other").operator("mira"), "herd"),
        (TestHerd::new("five").operator("mira"), "authority"),
        (expired, "expired"),
    ] {
        let refused = client.status(&riley.as_member(&stranger)).await.unwrap_err();
        assert!(matches!(&refused, AdminClientError::NoTrust(text) if text.contains(why)), "{refused}");
    }
}

/// Goal: nothing is sent to a node that is not the one that was meant. Method: two nodes whose addresses are mixed up.
#[tokio::test]
async fn client_tells_the_node_at_an_address_by_its_certificate() {
    let mut herd = TestHerd::new("five");
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let riley = LinkPort::start(&mut herd, "Riley", Arc::new(SlowHost(begin))).await;
    let mixed_up = Endpoint::member("Jaquez", riley.address, herd.operator("mira"));
    for answer in [
        riley.server.client().status(&mixed_up).await,
        riley.server.client().swap(&mixed_up, NOTHING, SwapOptions::default()).await,
    ] {
        let refused = answer.unwrap_err().to_string();
        assert!(refused.contains("is Riley by its certificate, not Jaquez"), "{refused}");
    }
    assert!(begun.try_recv().is_err());
}

#[tokio::test]
async fn connections_of_one_member_leave_places_for_others_and_are_counted() {
    let mut herd = TestHerd::new("five");
    let limits = ConnectionLimits { of_member_max: 2, header_max: DAY, ..ConnectionLimits::default() };
    let riley = LinkPort::with(&mut herd, "Riley", Arc::new(EchoHost), limits, &[]).await;
    let (mira, ada) = (herd.operator("mira"), herd.operator("ada"));
    let held = [riley.connect(&mira).await, riley.connect(&mira).await];
    // Accepted in order, so by the end of the third the two have their places.
    end_of(riley.connect(&mira).await).await;
    let client = riley.server.client();
    let status = client.status(&riley.as_member(&ada)).await.unwrap();
    assert_eq!(status["admin"]["refused"]["connections"], 1);
    drop(held);
    riley.server.answers(&riley.as_member(&mira)).await;
}

/// Goal: a node that is away is told from one that refuses, so that another one is asked in its place. Method: a name that no name server
/// is asked for, because its label is too long, and a process that closes each connection at once, as that of a node which stops.
#[tokio::test]
async fn node_that_cannot_be_found_or_breaks_off_is_down() {
    let mut herd = TestHerd::new("five");
    let (mira, client) = (herd.operator("mira"), AdminClient::new().unwrap());
    let unknown = format!("{}.invalid:16415", "x".repeat(64));
    let error =
        client.status(&Endpoint::member("Riley", unknown.parse::<HostPort>().unwrap(), Arc::clone(&mira))).await;
    let error = error.unwrap_err();
    assert!(matches!(error, AdminClientError::Unresolved { .. }) && error.is_down(), "{error}");
    assert!(error.to_string().starts_with(&format!("Riley at {unknown}: the name ")), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let error = client.status(&Endpoint::member("Riley", address, mira)).await.unwrap_err();
    assert!(matches!(error, AdminClientError::Unreachable(_)), "{error}");
}

/// Goal: one node tells the status of the whole herd, and which nodes did not answer. Method: a node that answers, one that is not there,
/// one that is silent, and one whose address leads to another.
#[tokio::test]
async fn status_of_the_herd_names_the_nodes_that_do_not_answer() {
    let mut herd = TestHerd::new("five");
    let jaquez = LinkPort::start(&mut herd, "Jaquez", Arc::new(EchoHost)).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Bound and not listening, so that nobody else listens there.
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = refusing.local_addr().unwrap();
    let others = [
        ("Jaquez", jaquez.address),
        ("Juzang", gone),
        ("Campbell", silent.local_addr().unwrap()),
        ("Bernard", jaquez.address),
    ];
    let riley = LinkPort::with(&mut herd, "Riley", Arc::new(EchoHost), ConnectionLimits::default(), &others).await;
    let told = riley.server.client().herd_status(&riley.as_member(&herd.operator("mira"))).await.unwrap();
    let nodes: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(nodes, ["Bernard", "Campbell", "Jaquez", "Juzang", "Riley"]);
    for node in ["Riley", "Jaquez"] {
        assert!(told[node]["status"]["admin"].is_object(), "{told}");
    }
    assert_eq!((&told["Juzang"]["down"], &told["Campbell"]["down"]), (&json!(true), &json!(false)));
    let why = |node: &str| told[node]["error"].as_str().unwrap().to_string();
    assert_eq!(why("Juzang"), format!("no answer from Juzang at {gone}; is the node running?"));
    assert!(why("Campbell").contains("within 2s"), "{told}");
    assert!(why("Bernard").contains("is Jaquez by its certificate"), "{told}");
}
