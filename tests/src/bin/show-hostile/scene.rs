//! Scene of attacks: a node and its neighbour that run, and everything that its attackers have got hold of.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use herd_admin::Token;
use herd_identity::{Authority, Credentials, Role, credentials_path};
use herd_sys::clock::unix_now;
use herd_tests::{Herd, Process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use crate::link_frames::{Reply, greet, hello};
use crate::stranger::Stranger;

/// Nodes, and what is to be attacked of the first.
pub(crate) struct Scene {
    herd: Herd,
    pub(crate) node: Process,
    _neighbour: Process,
    /// Runs the attackers, with low priority: on a machine with few processors they would otherwise cost the clients by what they compute
    /// themselves.
    pub(crate) runtime: Runtime,
    pub(crate) loot: Arc<Loot>,
}

/// Addresses, certificates and keys of attackers.
pub(crate) struct Loot {
    pub(crate) herd: String,
    pub(crate) link: SocketAddr,
    pub(crate) client: SocketAddr,
    pub(crate) client_tls: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) socket: PathBuf,
    /// Header of a request with the token of the admin port.
    pub(crate) token: String,
    pub(crate) no_certificate: Stranger,
    pub(crate) old_tls: Stranger,
    pub(crate) self_signed: Stranger,
    pub(crate) of_another_herd: Stranger,
    pub(crate) of_another_authority: Stranger,
    pub(crate) expired: Stranger,
    pub(crate) revoked: Stranger,
    /// Of a node of the herd that does not run.
    pub(crate) member: Stranger,
    /// Of the neighbour, which runs.
    pub(crate) neighbour: Stranger,
    /// Bytes of the member's side of a handshake that succeeded.
    pub(crate) recorded: Vec<u8>,
}

impl Scene {
    /// Starts both nodes and collects the loot.
    pub(crate) fn set() -> Result<Self> {
        let herd = Herd::of(&[(NODE, &[]), (NEIGHBOUR, &[NODE]), (MEMBER, &[NODE]), (THIEF, &[NODE])]);
        let herd = herd.as_for_users().with("sessions.unfinished_line_s=3").with_tls();
        let (node, neighbour) = (herd.run(NODE), herd.run(NEIGHBOUR));
        herd.await_linked(&[NODE, NEIGHBOUR]);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(|| herd_sys::lower_priority(ATTACKERS_NICE))
            .enable_all()
            .build()?;
        let mut loot = Loot::collect(&herd)?;
        // The revocation, which the command put into the file of the node.
        node.await_log(&["certificate and trust renewed"]);
        loot.recorded = runtime.block_on(record(&loot))?;
        Ok(Self { herd, node, _neighbour: neighbour, runtime, loot: Arc::new(loot) })
    }

    /// Status of the node, over a connection of its own: attacks last longer than the node keeps one that is idle.
    pub(crate) fn status(&self) -> Result<Value> {
        self.herd.operator(NODE).status().context("status of the node")
    }
}

impl Loot {
    fn collect(herd: &Herd) -> Result<Self> {
        let state = herd.state_directory();
        let now = unix_now();
        let node = |name: &str| Role::Node(name.into());
        let mut authority = Authority::open(&state.join("authority"))?;
        let member = authority.issue(&node(MEMBER), DAY, now)?;
        let expired = authority.issue(&node(MEMBER), Duration::from_secs(60), now - EXPIRED_AGO)?;
        let revoked = authority.issue(&node(THIEF), DAY, now)?;
        // The command finds the directory of the authority locked otherwise.
        drop(authority);
        let output = herd.herd(&["certs", "revoke", THIEF]);
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let elsewhere = |name: &str, directory: &str| -> Result<Credentials> {
            let mut authority = Authority::create(&herd.scratch().path(directory), name, DAY, now)?;
            Ok(authority.issue(&node(NEIGHBOUR), DAY, now)?)
        };
        let neighbour = Credentials::load(&credentials_path(&state, NEIGHBOUR))?;
        let name = neighbour.certificate().subject().herd.clone();
        let with = |credentials: &Credentials| Stranger::with(credentials, LINK);
        let token = Token::read(&state)?;
        let token = std::fs::read_to_string(token.path())?;
        Ok(Self {
            link: herd.link_address(NODE),
            client: herd.address(NODE),
            client_tls: herd.tls_address(NODE),
            admin: herd.admin_address(NODE),
            socket: herd.admin_directory().join(format!("{NODE}.sock")),
            token: format!("authorization: Bearer {}\r\n", token.trim()),
            no_certificate: Stranger::without_certificate(LINK),
            old_tls: Stranger::of_old_tls(LINK),
            self_signed: Stranger::self_signed(&format!("herd://{name}/node/{NEIGHBOUR}"), LINK)?,
            of_another_herd: with(&elsewhere("another", "of-another-herd")?)?,
            of_another_authority: with(&elsewhere(&name, "of-another-authority")?)?,
            expired: with(&expired)?,
            revoked: with(&revoked)?,
            member: with(&member)?,
            neighbour: with(&neighbour)?,
            recorded: Vec::new(),
            herd: name,
        })
    }
}

/// Links as the member through a proxy, and returns what it sent.
async fn record(loot: &Loot) -> Result<Vec<u8>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = listener.local_addr()?;
    let target = loot.link;
    let recording = tokio::spawn(async move {
        let (client, _) = listener.accept().await?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_node, mut to_node) = TcpStream::connect(target).await?.into_split();
        let back = tokio::spawn(async move { copy(&mut from_node, &mut to_client).await });
        let (mut recorded, mut buffer) = (Vec::new(), vec![0; 4096]);
        loop {
            match from_client.read(&mut buffer).await? {
                0 => break,
                count => {
                    recorded.extend_from_slice(&buffer[..count]);
                    to_node.write_all(&buffer[..count]).await?;
                }
            }
        }
        drop(to_node);
        back.abort();
        Ok::<_, std::io::Error>(recorded)
    });
    let mut stream = loot.member.open(TcpStream::connect(proxy).await?).await?;
    let reply = greet(&mut stream, &hello(&loot.herd, MEMBER, 1)).await?;
    ensure!(reply == Reply::Linked, "the member was refused, so there is no handshake to record");
    drop(stream);
    Ok(recording.await??)
}

/// Node that is attacked.
pub(crate) const NODE: &str = "Riley";
/// Node that runs and is linked with it.
pub(crate) const NEIGHBOUR: &str = "Jaquez";
/// Node that does not run, and whose key an attacker has.
pub(crate) const MEMBER: &str = "Juzang";
/// Another one, whose certificate was revoked.
const THIEF: &str = "Campbell";
const LINK: &str = "herd-link";
const DAY: Duration = Duration::from_secs(86_400);
/// Certificates are valid from an hour before they are made, and no authority makes one before it is valid itself.
const EXPIRED_AGO: Duration = Duration::from_secs(30 * 60);
const ATTACKERS_NICE: i32 = 19;
