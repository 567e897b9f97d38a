//! Upstreams over real HTTP on loopback: every way in which an answer can arrive or fail.

use std::time::Duration;

use herd_sdk::Method;
use tokio::net::TcpSocket;

use super::raw_server::{Act, RawServer, answer};
use super::*;

const KEY: &str = "s3cr+t/key=";

/// A deadline that a busy machine does not reach.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Upstreams from tables in TOML, all in use, with the key in the environment and a time limit that no test reaches.
fn upstreams(tables: &str) -> Upstreams {
    let mut config: UpstreamsConfig = toml::from_str(tables).unwrap();
    for table in config.0.values_mut() {
        table.timeout_ms.get_or_insert(30_000);
    }
    let used: Vec<_> = config.0.keys().cloned().collect();
    Upstreams::with_environment("Riley", &config, &used, &|name| (name == "HERD_GOOGLE_KEY").then(|| KEY.into()))
        .unwrap()
}

fn get(upstream: &str, path: &str) -> FetchRequest {
    FetchRequest { upstream: upstream.into(), method: Method::Get, path: path.into(), body: b"not sent".to_vec() }
}

fn post(upstream: &str, path: &str, body: &str) -> FetchRequest {
    FetchRequest { method: Method::Post, body: body.into(), ..get(upstream, path) }
}

fn response(status: u16, body: &str) -> FetchAnswer {
    FetchAnswer::Response { status, body: body.into() }
}

/// Fetches from a server with this behaviour. Returns the answer and the number of requests that the server received.
async fn fetch_one(acts: &[Act], request: FetchRequest) -> (FetchAnswer, usize) {
    let server = RawServer::start(acts).await;
    let upstreams = upstreams(&format!("[x]\nurl = \"{}\"\nbody_kib_max = 1", server.url()));
    (upstreams.fetch(request, later()).await, server.requests_left())
}

#[tokio::test]
async fn http_passes_on_answers_of_any_status_and_follows_no_redirect() {
    let redirect = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno".to_vec();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n".to_vec();
    for (bytes, expected) in [
        (answer("200 OK", "<html>not JSON</html>"), response(200, "<html>not JSON</html>")),
        (answer("500 Internal Server Error", "{}"), response(500, "{}")),
        (answer("404 Not Found", ""), response(404, "")),
        (answer("200 OK", &"x".repeat(1024)), response(200, &"x".repeat(1024))),
        (redirect, response(302, "no")),
        (chunked, response(200, "abc")),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil it closes".to_vec(), response(200, "until it closes")),
    ] {
        for request in [get("x", "/p"), post("x", "/p", "body")] {
            assert_eq!(fetch_one(&[Act::Write(bytes.clone())], request).await, (expected.clone(), 1));
        }
    }
}

#[tokio::test]
async fn http_answer_that_breaks_off_is_incomplete_and_a_large_one_is_not_read_whole() {
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let half = [head(100), b"half".to_vec()].concat();
    for (act, expected) in [
        (Act::Write(half), Failure::Incomplete),
        (Act::Write(vec![]), Failure::Incomplete),
        (Act::Write(b"HTTP/1.1 200".to_vec()), Failure::Incomplete),
        (Act::Write(b"220 mail.example.org ready\r\n".to_vec()), Failure::Incomplete),
        (Act::Write([chunked.clone(), b"5\r\nab".to_vec()].concat()), Failure::Incomplete),
        (Act::Write([chunked.clone(), b"zz\r\n".to_vec()].concat()), Failure::Incomplete),
        (Act::Hold(head(1025)), Failure::TooLarge),
        (Act::Hold(head(1 << 40)), Failure::TooLarge),
        (
            Act::Flood(chunked, b"100\r\n".iter().copied().chain([b'x'; 256]).chain(*b"\r\n").collect()),
            Failure::TooLarge,
        ),
        (Act::Flood(b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), vec![b'x'; 100]), Failure::TooLarge),
    ] {
        let ended = fetch_one(std::slice::from_ref(&act), get("x", "")).await;
        assert_eq!(ended, (FetchAnswer::Failed(expected), 1), "{act:?}");
    }
}

#[tokio::test]
async fn http_connection_refused_is_unreachable() {
    // Bound but not listening, so that connections are refused and no other test gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let upstreams = upstreams(&format!("[x]\nurl = \"http://{address}\""));
    for request in [get("x", ""), post("x", "", "")] {
        assert_eq!(upstreams.fetch(request, later()).await, FetchAnswer::Failed(Failure::Unreachable));
    }
}

#[tokio::test]
async fn http_handshake_that_fails_or_never_ends_is_unreachable() {
    let nonsense = RawServer::start(&[Act::WriteFirst(answer("200 OK", "no TLS here"))]).await;
    let silent = RawServer::start(&[Act::Hold(vec![])]).await;
    let table = |name, server: &RawServer| format!("[{name}]\nurl = \"https://{}\"\n", server.address);
    let upstreams = upstreams(&(table("nonsense", &nonsense) + &table("silent", &silent) + "connect_timeout_ms = 20"));
    for name in ["nonsense", "silent"] {
        assert_eq!(upstreams.fetch(get(name, ""), later()).await, FetchAnswer::Failed(Failure::Unreachable), "{name}");
    }
}

#[tokio::test]
async fn retry_resends_a_get_once_after_a_reset_and_never_a_post() {
    let good = Act::Write(answer("200 OK", "ok"));
    let broken = FetchAnswer::Failed(Failure::Incomplete);
    assert_eq!(fetch_one(&[Act::Reset, good.clone()], get("x", "")).await, (response(200, "ok"), 1));
    assert_eq!(fetch_one(&[Act::Reset, Act::Reset, good.clone()], get("x", "")).await, (broken.clone(), 0));
    assert_eq!(fetch_one(&[Act::Reset, good], post("x", "", "")).await, (broken, 0));
}

#[tokio::test]
async fn http_connection_is_reused() {
    let mut server = RawServer::start(&[Act::Serve(answer("200 OK", "ok")), Act::Reset]).await;
    let upstreams = upstreams(&format!("[x]\nurl = \"{}\"", server.url()));
    for path in ["/1", "/2", "/3"] {
        assert_eq!(upstreams.fetch(post("x", path, "body"), later()).await, response(200, "ok"));
        let request = server.next_request().await;
        assert!(request.starts_with(&format!("POST {path} HTTP/1.1\r\n")) && request.ends_with("\r\n\r\nbody"));
    }
}

#[tokio::test]
async fn deadline_ends_a_request_that_gets_no_answer_or_no_end() {
    for bytes in [vec![], b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()] {
        let server = RawServer::start(&[Act::Hold(bytes)]).await;
        let url = server.url();
        let upstreams = upstreams(&format!("[far]\nurl = \"{url}\"\n[near]\nurl = \"{url}\"\ntimeout_ms = 20"));
        let timeout = FetchAnswer::Failed(Failure::Timeout);
        assert_eq!(upstreams.fetch(get("far", ""), Instant::now() + Duration::from_millis(20)).await, timeout);
        assert_eq!(upstreams.fetch(get("near", ""), later()).await, timeout);
        assert_eq!(upstreams.fetch(get("far", ""), Instant::now()).await, timeout);
        let status = upstreams.status();
        assert_eq!(status.upstreams.iter().map(|upstream| upstream.in_flight).sum::<usize>(), 0);
    }
}

#[tokio::test]
async fn in_flight_limit_refuses_one_more_and_a_dropped_request_frees_its_permit() {
    let mut server =
        RawServer::start(&[Act::Hold(vec![]), Act::Hold(vec![]), Act::Write(answer("200 OK", "ok"))]).await;
    let upstreams = upstreams(&format!("[x]\nurl = \"{}\"\nin_flight_max = 2", server.url()));
    let [first, second] = [(); 2].map(|()| tokio::spawn(upstreams.fetch(get("x", ""), later())));
    server.next_request().await;
    server.next_request().await;
    assert_eq!(upstreams.status().upstreams.last().unwrap().in_flight, 2);
    assert_eq!(upstreams.fetch(get("x", ""), later()).await, FetchAnswer::Failed(Failure::Busy));

    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(upstreams.fetch(get("x", ""), later()).await, response(200, "ok"));
    drop(server);
    assert_eq!(second.await.unwrap(), FetchAnswer::Failed(Failure::Incomplete));

    let status = upstreams.status().upstreams.pop().unwrap();
    let counts = (status.requests_total, status.answers_total, status.failures_total["busy"], status.in_flight);
    assert_eq!(counts, (4, 1, 1, 0));
}

#[tokio::test]
async fn request_that_is_malformed_is_unknown_and_not_sent() {
    let server = RawServer::answering("200 OK", "").await;
    let upstreams = upstreams(&format!("[x]\nurl = \"{}/base\"", server.url()));
    let raw =
        |upstream: &[u8], path: &[u8]| FetchRequest { upstream: upstream.into(), path: path.into(), ..get("", "") };
    for request in [
        get("y", "/"),
        get("", "/"),
        raw(b"\xff", b"/"),
        raw(&[b'x'; 1000], b"/"),
        raw(b"x", b"/\xff"),
        raw(b"x", b"/\r\nHost: other"),
        get("x", "/../admin"),
        get("x", "@127.0.0.1:1/"),
        get("x", "0/"),
    ] {
        assert_eq!(
            upstreams.fetch(request.clone(), later()).await,
            FetchAnswer::Failed(Failure::Unknown),
            "{request:?}"
        );
    }
    assert_eq!((server.requests_left(), upstreams.status().unknown_total), (0, 4));
}

#[tokio::test]
async fn preset_sends_the_key_where_google_expects_it() {
    let mut server = RawServer::answering("200 OK", "{}").await;
    let url = server.url();
    let legacy = format!("{url}/maps/api/place/nearbysearch/json");
    let upstreams = upstreams(&format!("[google]\nurl = \"{url}\"\n[google-legacy]\nurl = \"{legacy}\""));

    upstreams.fetch(post("google", "/v1/places:searchNearby", "{\"a\":1}"), later()).await;
    let request = server.next_request().await;
    assert!(request.starts_with("POST /v1/places:searchNearby HTTP/1.1\r\n") && request.ends_with("\r\n\r\n{\"a\":1}"));
    for line in [
        &format!("x-goog-api-key: {KEY}"),
        "content-type: application/json",
        "x-goog-fieldmask: places.id,places.displayName,places.location,places.types,places.primaryType,\
         places.formattedAddress,places.businessStatus,places.googleMapsUri",
        concat!("user-agent: herd/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(request.lines().any(|found| found == line), "{line}\n{request}");
    }

    upstreams.fetch(get("google-legacy", "?location=34.06,-118.44&radius=10000"), later()).await;
    let request = server.next_request().await;
    let first =
        "GET /maps/api/place/nearbysearch/json?location=34.06,-118.44&radius=10000&key=s3cr%2Bt%2Fkey%3D HTTP/1.1";
    assert_eq!(request.lines().next(), Some(first));
    assert!(request.ends_with("\r\n\r\n"), "a get has no body");
}

#[tokio::test]
async fn secret_is_in_no_answer_status_or_debug_output() {
    let echo = format!("key {KEY} was refused: http://x/?key=s3cr%2Bt%2Fkey%3D&{KEY}");
    let server = RawServer::answering("403 Forbidden", &echo).await;
    let url = server.url();
    let upstreams = upstreams(&format!("[google]\nurl = \"{url}\"\n[google-legacy]\nurl = \"{url}\""));
    let mut shown = vec![];
    for name in ["google", "google-legacy"] {
        let reply = upstreams.fetch(get(name, ""), later()).await;
        assert_eq!(reply, response(403, "key *** was refused: http://x/?key=***&***"));
        shown.push(format!("{reply:?}"));
    }
    drop(server);
    shown.push(format!("{:?}", upstreams.fetch(get("google-legacy", ""), later()).await));
    shown.push(format!("{upstreams:#?}"));
    shown.push(serde_json::to_string(&upstreams.status()).unwrap());
    for text in shown {
        assert!(!text.contains("s3cr"), "{text}");
    }
}

#[tokio::test]
async fn embedded_answers_without_configuration() {
    let upstreams =
        Upstreams::with_environment("Riley", &UpstreamsConfig::default(), &["embedded".into()], &|_| None).unwrap();
    let request = get("embedded", "?latitude=34.06893&longitude=-118.445127&radius_m=10000&limit=1");
    let FetchAnswer::Response { status: 200, body } = upstreams.fetch(request, later()).await else { panic!() };
    assert!(String::from_utf8(body).unwrap().contains("GeoNames"));
    let names: Vec<_> = upstreams.status().upstreams.into_iter().map(|upstream| upstream.name).collect();
    assert_eq!(names, ["embedded"], "google has no key and nobody uses it");
}

/// Method: runs itself in a child process, because changing the environment of a process with threads is not safe.
#[tokio::test]
async fn embedded_answers_a_burst_of_first_requests_while_it_unpacks() {
    let upstreams = upstreams("[embedded]\nin_flight_max = 4");
    let path = "?latitude=34&longitude=-118&radius_m=1000&limit=1";
    let answers = future::join_all((0..200).map(|_| upstreams.fetch(get("embedded", path), later()))).await;
    let refused = answers.iter().filter(|answer| matches!(answer, FetchAnswer::Failed(_))).count();
    assert_eq!((answers.len(), refused), (200, 0));
}

#[test]
fn root_certificates_missing_make_https_unreachable_but_not_loopback_http() {
    const MARK: &str = "HERD_TEST_WITHOUT_ROOT_CERTIFICATES";
    if std::env::var_os(MARK).is_none() {
        let name = "root_certificates_missing_make_https_unreachable_but_not_loopback_http";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--test-threads=1", name])
            .env(MARK, "1")
            .env("SSL_CERT_FILE", "/nonexistent")
            .env("SSL_CERT_DIR", "/nonexistent")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let server = RawServer::answering("200 OK", "ok").await;
        let upstreams =
            upstreams(&format!("[secure]\nurl = \"https://{}\"\n[plain]\nurl = \"{}\"", server.address, server.url()));
        for _ in 0..2 {
            assert_eq!(upstreams.fetch(get("secure", ""), later()).await, FetchAnswer::Failed(Failure::Unreachable));
        }
        assert_eq!(server.requests_left(), 0);
        assert_eq!(upstreams.fetch(get("plain", ""), later()).await, response(200, "ok"));
    });
}
