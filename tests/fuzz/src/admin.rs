//! Target: requests to the admin API over TCP, as bytes.
//!
//! Nothing reaches the node without the token; whatever is sent, the connection ends.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use axum::serve::Listener;
use herd_admin::{
    Admin, AdminHost, LogOptions, Members, PageOptions, Promotion, RecordsHost, Refusal, Requester, ShareOptions,
    SwapOptions, Token, TraceOptions,
};
use herd_identity::{Clock, Identity};
use herd_model::{GuestFiles, RollbackOptions, Share};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};

use crate::certificates::{NOW, RILEYS};

/// Bytes that an input may make the node hold.
pub const BYTES_MAX: usize = 4 << 20;

/// Certificate of the node, which no request over TCP needs.
static IDENTITY: LazyLock<Arc<Identity>> = LazyLock::new(|| {
    let identity = Identity::new(RILEYS.clone(), Clock::new(|| NOW));
    Arc::new(identity.expect("the credentials of the corpus are good"))
});

/// Runs an input: the bytes of a connection.
pub fn run(input: &[u8]) {
    let node = &*NODE;
    let before = node.calls.load(Relaxed);
    node.runtime.block_on(async {
        let (mut near, far) = duplex(1 << 16);
        let members = Members::new(Arc::clone(&IDENTITY), &BTreeMap::new()).expect("an HTTP client");
        let (host, records) = (Arc::clone(&node.host) as _, Arc::clone(&node.host) as _);
        let admin = Arc::new(Admin::new("Riley", host, records, node.token.clone(), members));
        let serving = Arc::clone(&admin);
        let served = tokio::spawn(async move { serving.serve(OneConnection(Some(far))).await });
        // The node may hang up first.
        let _ = near.write_all(input).await;
        let _ = near.shutdown().await;
        let mut answer = Vec::new();
        let _ = near.read_to_end(&mut answer).await;
        admin.stop();
        served.await.expect("the server ends without a panic");
        admin.stopped().await;
    });
    if node.calls.load(Relaxed) > before {
        let has = |part: &[u8]| input.windows(part.len()).any(|window| window == part);
        assert!(has(format!("Bearer {TOKEN}").as_bytes()), "a request without the token reached the node");
    }
}

/// Returns requests to the routes.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let routes = [
        ("GET", "/livez", "", ""),
        ("GET", "/readyz", "", ""),
        ("GET", "/v1/status", "", ""),
        ("GET", "/v1/herd/status", "", ""),
        ("POST", "/v1/upgrade", "", "{}"),
        ("POST", "/v1/herd/swap?again=true&force=true", "herd-request: 7\r\nherd-transcripts: 2\r\n", "\0asm{}"),
        ("POST", "/v1/herd/rollback?discard_records=true", "", ""),
        ("POST", "/v1/swap?unrehearsed=true", "herd-operator: mira\r\n", "\0asm"),
        ("POST", "/v1/rollback", "", ""),
        ("POST", "/v1/canary?share=5%25&reversible=true", "", "\0asm"),
        ("POST", "/v1/canary/share?share=50", "", ""),
        ("POST", "/v1/canary/promote", "", ""),
        ("POST", "/v1/herd/canary/promote", "", ""),
        ("DELETE", "/v1/canary", "", ""),
        ("POST", "/v1/shadow?share=100", "", "\0asm"),
        ("GET", "/v1/shadow", "", ""),
        ("DELETE", "/v1/shadow", "", ""),
        ("POST", "/v1/records/list", "", r#"{"prefix": "6b697769", "limit": 10}"#),
        ("POST", "/v1/records/forget", "", r#"{"key": "6b697769"}"#),
        ("POST", "/v1/records/backup", "", r#"{"directory": "/backup"}"#),
        ("POST", "/v1/records/restore", "", r#"{"directory": "/backup"}"#),
        ("POST", "/v1/records/prove", "", ""),
        ("GET", "/v1/log", "", ""),
        ("POST", "/v1/log", "", r#"{"filter": "info,guest=debug"}"#),
        ("DELETE", "/v1/requests/7", "", ""),
        ("POST", "/v1/swap", "origin: https://example.org\r\nsec-fetch-site: cross-site\r\n", "\0asm"),
        (
            "POST",
            "/v1/records/trace",
            "",
            r#"{"key": "6b", "stamp": {"origin": "a", "started_ms": 1, "random": "00", "worker": 0, "seq": 1}}"#,
        ),
    ];
    let mut seeds = Vec::new();
    for (index, (method, path, headers, body)) in routes.into_iter().enumerate() {
        for (who, token) in [("", format!("authorization: Bearer {TOKEN}\r\n")), ("stranger-", String::new())] {
            let length = body.len();
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{token}{headers}content-type: application/json\r\n\
                 connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            seeds.push((format!("{who}{index:02}"), request.into_bytes()));
        }
    }
    let chunked = format!(
        "POST /v1/swap HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\nexpect: 100-continue\r\n\
         transfer-encoding: chunked\r\n\r\n4\r\n\0asm\r\n0\r\n\r\n"
    );
    seeds.push(("chunked".into(), chunked.into_bytes()));
    seeds
}

const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Node that all inputs of a process share.
struct Node {
    runtime: Runtime,
    host: Arc<Echo>,
    token: Token,
    calls: &'static AtomicUsize,
    _directory: TempDir,
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory for the token");
    let path = directory.path().join("admin.token");
    std::fs::write(&path, TOKEN).expect("the directory takes a file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("the mode of an own file can be set");
    let token = Token::read(directory.path()).expect("the file has a token");
    let runtime = Builder::new_current_thread().enable_time().max_blocking_threads(1).build().expect("a runtime");
    Node { runtime, host: Arc::new(Echo), token, calls: &CALLS, _directory: directory }
});

/// A port to which one client connects, through memory.
struct OneConnection(Option<DuplexStream>);

impl Listener for OneConnection {
    type Io = DuplexStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DuplexStream, SocketAddr) {
        match self.0.take() {
            Some(connection) => (connection, SocketAddr::from((Ipv4Addr::LOCALHOST, 1))),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 2)))
    }
}

/// A node that answers every operation with its arguments.
struct Echo;

fn called(answer: Value) -> Result<Value, Refusal> {
    CALLS.fetch_add(1, Relaxed);
    Ok(answer)
}

impl AdminHost for Echo {
    fn status(&self) -> Value {
        called(json!({})).unwrap_or_default()
    }

    fn trace(&self, options: &TraceOptions) -> Value {
        called(json!({ "options": options })).unwrap_or_default()
    }

    fn log(&self) -> Result<Value, Refusal> {
        called(json!({}))
    }

    fn set_log(&self, options: &LogOptions, operator: &str) -> Result<Value, Refusal> {
        called(json!({ "options": options, "operator": operator }))
    }

    fn store_code(&self, code: &[u8], operator: &str) -> Result<Value, Refusal> {
        Ok(json!({ "bytes": code.len(), "operator": operator }))
    }

    fn herd_swap(&self, files: GuestFiles<'_>, _: &Requester, options: SwapOptions) -> Result<Value, Refusal> {
        called(json!({ "bytes": files.guest.len(), "options": options }))
    }

    fn herd_roll_back(&self, _: &Requester, options: RollbackOptions) -> Result<Value, Refusal> {
        called(json!({ "options": options }))
    }

    fn swap(&self, files: GuestFiles<'_>, requester: &Requester, options: SwapOptions) -> Result<Value, Refusal> {
        called(json!({ "bytes": files.guest.len(), "operator": requester.name(), "options": options }))
    }

    fn roll_back(&self, operator: &str, options: RollbackOptions) -> Result<Value, Refusal> {
        called(json!({ "operator": operator, "options": options }))
    }

    fn begin_canary(&self, _: GuestFiles<'_>, _: &str, options: ShareOptions) -> Result<Value, Refusal> {
        called(json!({ "options": options }))
    }

    fn widen_canary(&self, share: Share, _: &str) -> Result<Value, Refusal> {
        called(json!({ "share": share }))
    }

    fn end_canary(&self, operator: &str) -> Result<Value, Refusal> {
        called(json!({ "operator": operator }))
    }

    fn promote_canary(&self, _: &Requester, to: Promotion) -> Result<Value, Refusal> {
        called(json!({ "herd": to == Promotion::OfTheHerd }))
    }

    fn shadow(&self, _: GuestFiles<'_>, _: &str, options: ShareOptions) -> Result<Value, Refusal> {
        called(json!({ "options": options }))
    }

    fn shadow_report(&self) -> Value {
        called(json!({})).unwrap_or_default()
    }

    fn end_shadow(&self, operator: &str) -> Result<Value, Refusal> {
        called(json!({ "operator": operator }))
    }
}

impl RecordsHost for Echo {
    fn forget(&self, key: &[u8], operator: &str) -> Result<Value, Refusal> {
        called(json!({ "key": key, "operator": operator }))
    }

    fn list(&self, page: &PageOptions) -> Result<Value, Refusal> {
        called(json!({ "page": page }))
    }

    fn back_up(&self, directory: &Path, _: &str) -> Result<Value, Refusal> {
        called(json!({ "to": directory }))
    }

    fn restore(&self, directory: &Path, _: &str) -> Result<Value, Refusal> {
        called(json!({ "from": directory }))
    }

    fn prove(&self) -> Result<Value, Refusal> {
        called(json!({ "links": [] }))
    }
}
