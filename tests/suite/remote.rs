//! Administration from other hosts: three processes that share no state directory, an operator at a fourth host, and strangers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use herd_identity::{Authority, Clock, Credentials, HandshakeError, Identity, Protocol, Role};
use herd_tests::{DEFAULT_GUEST, HELLO, Herd, Host, Process, WAIT_MAX, eventually};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::timeout;

/// Hosts of a herd of three nodes, which run.
struct Hosts<'a> {
    /// Keeps the authority, and runs no node.
    keeper: Host<'a>,
    /// By the names of their nodes.
    nodes: [(&'static str, Host<'a>); 3],
    running: Vec<Process>,
}

impl<'a> Hosts<'a> {
    fn start(herd: &'a Herd) -> Self {
        let keeper = Host::new(herd, "keeper");
        let nodes = ["Riley", "Jaquez", "Juzang"].map(|node| (node, Host::new(herd, node)));
        keeper.types("certs init");
        keeper.types("certs issue Riley Jaquez Juzang");
        for (node, host) in &nodes {
            let file = format!("{node}.pem");
            keeper.carry(&file, host);
            host.types(&format!("certs install {file}"));
        }
        let running = nodes.iter().map(|(node, host)| host.run(node)).collect();
        let hosts = Self { keeper, nodes, running };
        eventually("links", || {
            let shown = hosts.host("Riley").runs("status --json");
            let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
            let links = ["Riley", "Jaquez", "Juzang"].map(|node| shown[node]["links"].as_array().cloned());
            let is_up = |links: &Vec<Value>| links.len() == 2 && links.iter().all(|link| link["state"] != "down");
            if links.iter().flatten().filter(|links| is_up(links)).count() == 3 {
                Ok(())
            } else {
                Err(shown.to_string())
            }
        });
        hosts
    }

    fn host(&self, node: &str) -> &Host<'a> {
        &self.nodes.iter().find(|(name, _)| *name == node).unwrap().1
    }

    /// Issues a certificate to an operator, and installs it at a host of its own.
    fn desk(&self, herd: &'a Herd, operator: &str) -> Host<'a> {
        let desk = Host::new(herd, &format!("desk-of-{operator}"));
        let issued = self.keeper.types(&format!("certs issue --operator {operator}"));
        let install = format!("certs install {operator}.pem");
        assert!(issued.contains(&format!("\n    herd {install} --config ")), "{issued}");
        self.keeper.carry(&format!("{operator}.pem"), &desk);
        let installed = desk.types(&install);
        assert!(installed.contains("\n    herd status --config "), "{installed}");
        desk
    }
}

fn three() -> Herd {
    Herd::of(&[("Riley", &["Jaquez", "Juzang"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])]).named("five")
}

/// First words of the rows of the table of nodes, by node.
fn rows(table: &str) -> Vec<String> {
    let rows = table.lines().skip(1).take_while(|line| !line.is_empty());
    rows.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect()
}

fn error(output: &std::process::Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Goal: `herd status` on the host of any node shows all nodes, without the certificate of an operator, and names the one that is gone;
/// nothing else of another node is reached that way.
#[test]
fn remote_nodes_are_in_the_status_of_every_host() {
    let herd = three();
    let mut hosts = Hosts::start(&herd);
    for (node, host) in &hosts.nodes {
        let shown = host.json("status --json");
        for (other, _) in &hosts.nodes {
            assert_eq!(shown[other]["node"], *other, "asked at {node}");
            assert_eq!(shown[other]["version"], env!("CARGO_PKG_VERSION"));
        }
        let mut shown = rows(&host.types("status"));
        shown.sort_unstable();
        assert_eq!(shown.len(), 3);
        assert!(shown.iter().zip(["Jaquez 1", "Juzang 1", "Riley 1"]).all(|(row, start)| row == start), "{shown:?}");
    }
    let one = hosts.host("Riley").types("status --node Jaquez");
    assert_eq!(rows(&one), ["Jaquez 1"]);

    for arguments in ["swap --built-in --node Jaquez", "records --node Jaquez get kiwi", "rollback --node Jaquez"] {
        let refused = error(&hosts.host("Riley").runs(arguments));
        assert!(refused.contains("Jaquez has no admin socket here") && refused.contains(TYPED), "{refused}");
    }
    let elsewhere = error(&hosts.keeper.runs("swap --built-in"));
    assert!(elsewhere.contains(TYPED), "{elsewhere}");

    hosts.running.remove(2).kill();
    let shown = hosts.host("Riley").runs("status");
    let table = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(rows(&table).contains(&"Juzang down".to_string()), "{table}");
    let gone = format!(
        "herd: Juzang: no answer from Juzang at {}; is the node running? (Riley asked)\n",
        herd.link_address("Juzang")
    );
    assert_eq!(error(&shown), gone);
}

/// Goal: an operator administers nodes on other hosts, is named in their audit logs, and is refused everywhere once it is revoked. Method:
/// the documented commands at a host that shares no file with the nodes.
#[test]
fn remote_operator_swaps_nodes_and_is_named_until_it_is_revoked() {
    let herd = three();
    let hosts = Hosts::start(&herd);
    let desk = hosts.desk(&herd, "mira");
    let serial = desk.json("certs show --json")["operator"]["certificate"]["serial"].as_str().unwrap()[..8].to_string();
    let mut shown = rows(&desk.types("status"));
    shown.sort_unstable();
    assert_eq!(shown, ["Jaquez 1", "Juzang 1", "Riley 1"]);

    assert!(herd.client("Riley").ask("IAMAT kiwi +34-118 1").starts_with("AT Riley "));
    eventually("the report", || {
        let output = desk.runs("records --node Juzang get kiwi");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if said.contains("\"key\":\"kiwi\"") { Ok(()) } else { Err(said) }
    });
    desk.types("forget kiwi");
    eventually("proofs", || {
        let proved = desk.runs("repair");
        if proved.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&proved.stdout).into_owned()) }
    });

    let who = format!("operator mira (certificate {serial}) at 127.0.0.1");
    let hello = Path::new(HELLO).to_str().unwrap();
    desk.types(&format!("swap {hello} --node Jaquez"));
    assert_eq!(herd.client("Jaquez").ask("you"), "hello, you");
    let audited = hosts.host("Jaquez").types("audit --json --node Jaquez");
    assert!(audited.contains(&format!("\"{who}\"")), "{audited}");
    desk.types(&format!("swap {hello}"));
    for (node, host) in &hosts.nodes {
        assert_eq!(herd.client(node).ask("you"), "hello, you");
        let audited = host.types(&format!("audit --json --node {node}"));
        assert!(audited.contains(&format!("{who}, asked at ")), "{audited}");
        assert!(host.types("status").contains("by mira\n"), "{node}");
    }
    desk.types("rollback");

    let file = desk.directory().join("five/operator.pem");
    let file = file.to_str().unwrap();
    let elsewhere = hosts.host("Riley").types(&format!("rollback --node Riley --identity {file}"));
    assert!(elsewhere.starts_with("Riley: generation "), "{elsewhere}");
    let of_node = hosts.host("Riley").directory().join("five/nodes/Riley.pem");
    let refused = error(&desk.runs(&format!("status --identity {}", of_node.display())));
    assert!(
        refused.contains("is of node Riley of herd five; commands use the certificate of an operator"),
        "{refused}"
    );

    hosts.keeper.types("certs revoke --operator mira");
    hosts.keeper.carry("five-trust.pem", hosts.host("Riley"));
    hosts.host("Riley").types("certs install five-trust.pem");
    eventually("the refusal by all nodes", || {
        let said = error_or_nothing(&desk.runs("status"));
        if said.matches("the certificate of this member was revoked").count() == 3 { Ok(()) } else { Err(said) }
    });
    let refused = error(&desk.runs(&format!("swap {} --node Jaquez", Path::new(DEFAULT_GUEST).display())));
    assert!(refused.starts_with("herd: Jaquez: ") && refused.contains("was revoked"), "{refused}");
    hosts.host("Riley").carry("five-trust.pem", &desk);
    desk.types("certs install five-trust.pem");
    let refused = error(&desk.runs("status"));
    assert!(
        refused.contains("operator.pem: the certificate of operator mira") && refused.contains("was revoked"),
        "{refused}"
    );
}

/// Goal: strangers at the link port get nothing, and no harm is done. Method: raw connections to a node that is linked and administered
/// meanwhile.
#[test]
fn remote_strangers_at_the_link_port_are_refused() {
    let herd = three();
    let hosts = Hosts::start(&herd);
    let desk = hosts.desk(&herd, "mira");
    let mira = Credentials::load(&desk.directory().join("five/operator.pem")).unwrap();
    let jaquez = Credentials::load(&hosts.host("Jaquez").directory().join("five/nodes/Jaquez.pem")).unwrap();
    let now = herd_sys::clock::unix_now();
    let day = Duration::from_secs(86_400);
    let strange = |name: &str, herd_name: &str| {
        let mut authority = Authority::create(&herd.scratch().path(name), herd_name, day, now).unwrap();
        authority.issue(&Role::Operator("mira".into()), day, now).unwrap()
    };
    let identity = |credentials: &Credentials| Arc::new(Identity::new(credentials.clone(), Clock::system()).unwrap());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let address = herd.link_address("Riley");
    let answer = |credentials: &Credentials, protocol: Protocol, request: &str| -> Result<String, HandshakeError> {
        let (identity, request) = (identity(credentials), request.to_string());
        let answered = async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let mut connection = identity.connect(stream, protocol).await?;
            let written = connection.stream.write_all(request.as_bytes()).await;
            let mut answer = String::new();
            connection.stream.read_to_string(&mut answer).await.map_err(HandshakeError::of)?;
            written.map_err(HandshakeError::of)?;
            Ok(answer)
        };
        runtime.block_on(async { timeout(WAIT_MAX, answered).await.expect("the node ends the connection") })
    };
    let status = "GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let swap = "POST /v1/swap HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert!(answer(&mira, Protocol::Admin, status).unwrap().starts_with("HTTP/1.1 200 "));
    assert!(answer(&jaquez, Protocol::Admin, status).unwrap().starts_with("HTTP/1.1 200 "));
    assert!(answer(&jaquez, Protocol::Admin, swap).unwrap().starts_with("HTTP/1.1 403 "));

    // No answer, whatever way the connection ends.
    let refused = answer(&mira, Protocol::Link, status);
    assert!(refused.is_err(), "{refused:?}");
    for (name, herd_name) in [("other", "other"), ("same-name", "five")] {
        let refused = answer(&strange(name, herd_name), Protocol::Admin, status);
        assert!(matches!(refused, Err(HandshakeError::Peer(_))), "{refused:?}");
    }
    let plain = async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(status.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    let plain = runtime.block_on(async { timeout(WAIT_MAX, plain).await.expect("the node ends the connection") });
    // A TLS alert at most.
    assert!(plain.len() < 16 && !plain.starts_with(b"HTTP"), "{plain:?}");

    let shown = desk.json("status --json --node Riley");
    assert_eq!(shown["Riley"]["admin"]["refused"]["read_only"], 1);
    let links = shown["Riley"]["links"].as_array().unwrap();
    assert!(links.len() == 2 && links.iter().all(|link| link["state"] != "down"), "{links:?}");
}

fn error_or_nothing(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Error of commands that need the certificate of an operator.
const TYPED: &str = "herd certs issue --operator NAME where the authority is, and here: herd certs install NAME.pem";
