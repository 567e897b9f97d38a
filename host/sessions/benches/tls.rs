//! Cost of TLS for a node: processor time of its side of a handshake, and memory of a session's connection.
//!
//!     cargo bench -p herd-sessions --bench tls
//!
//! Method: both sides in memory, without sockets, with the settings of a client port. Only the node's side is timed, in processor time,
//! which a busy machine changes little. Memory is the growth of the resident set by connections that are kept, each after a line
//! and its reply. Prints the median.

#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]

use std::io::{Read, Write};
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};

const NODE: &[u8] = include_bytes!("../../../tests/data/tls/node.pem");
const KEY: &[u8] = include_bytes!("../../../tests/data/tls/node.key");
const AUTHORITY: &[u8] = include_bytes!("../../../tests/data/tls/authority.pem");
const LINE: &[u8] = b"IAMAT kiwi.example +34.068930-118.445127 1520023934.918963997\n";

fn main() {
    // `cargo test --all-targets` runs it once, to see that it works.
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    let (handshakes, kept) = if is_measured { (500, 4000) } else { (2, 2) };
    let server = server();
    for (name, version) in [("TLS 1.3", &TLS13), ("TLS 1.2", &TLS12)] {
        let client = client(version);
        // The first one has no ticket to resume with; later ones would, so each full handshake is that of a new client.
        let full = (0..handshakes).map(|_| connect(&server, &self::client(version), HandshakeKind::Full).1);
        println!("{name}, full handshake (ECDSA P-256): {:.0} us of processor time", median_us(full));
        connect(&server, &client, HandshakeKind::Full);
        let resumed = (0..handshakes).map(|_| connect(&server, &client, HandshakeKind::Resumed).1);
        println!("{name}, resumed handshake: {:.0} us of processor time", median_us(resumed));
    }
    let client = client(&TLS13);
    let before = resident_bytes();
    let connections: Vec<_> = (0..kept).map(|_| Box::new(connect(&server, &client, HandshakeKind::Full).0)).collect();
    let per_connection = resident_bytes().saturating_sub(before) / connections.len();
    println!("TLS 1.3, memory of a connection after a line and its reply: {per_connection} bytes");
}

/// Connects, and exchanges a line and a reply. Returns the node's side and the nanoseconds that its handshake took. `kind` is checked only
/// for a resumed one: the measurement of memory needs no certain kind.
fn connect(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, kind: HandshakeKind) -> (ServerConnection, u64) {
    let mut node = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut peer = ClientConnection::new(Arc::clone(client), ServerName::try_from("herd.test").unwrap()).unwrap();
    let mut handshake_ns = 0;
    while node.is_handshaking() || peer.is_handshaking() {
        let input = output_of(&mut peer);
        let began = processor_ns();
        let output = exchange(&mut node, &input);
        handshake_ns += processor_ns() - began;
        take(&mut peer, &output);
    }
    if kind == HandshakeKind::Resumed {
        assert_eq!(node.handshake_kind(), Some(HandshakeKind::Resumed));
    }
    peer.writer().write_all(LINE).unwrap();
    let input = output_of(&mut peer);
    let _ = exchange(&mut node, &input);
    let mut line = [0; 200];
    assert_eq!(node.reader().read(&mut line).unwrap(), LINE.len());
    node.writer().write_all(LINE).unwrap();
    let mut output = Vec::new();
    node.write_tls(&mut output).unwrap();
    take(&mut peer, &output);
    (node, handshake_ns)
}

fn exchange(node: &mut ServerConnection, mut input: &[u8]) -> Vec<u8> {
    while !input.is_empty() {
        node.read_tls(&mut input).unwrap();
        node.process_new_packets().unwrap();
    }
    let mut output = Vec::new();
    while node.wants_write() {
        node.write_tls(&mut output).unwrap();
    }
    output
}

fn output_of(peer: &mut ClientConnection) -> Vec<u8> {
    let mut output = Vec::new();
    while peer.wants_write() {
        peer.write_tls(&mut output).unwrap();
    }
    output
}

fn take(peer: &mut ClientConnection, mut input: &[u8]) {
    while !input.is_empty() {
        peer.read_tls(&mut input).unwrap();
        peer.process_new_packets().unwrap();
    }
}

/// The settings of a client port (`src/tls/certificate.rs`).
fn server() -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(&[&TLS13, &TLS12]).unwrap().with_no_client_auth();
    let chain = vec![CertificateDer::from_pem_slice(NODE).unwrap()];
    let mut config = config.with_single_cert(chain, PrivateKeyDer::from_pem_slice(KEY).unwrap()).unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new().unwrap();
    config.send_tls13_tickets = 1;
    Arc::new(config)
}

fn client(version: &'static rustls::SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(&[version]).unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn processor_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or_default() << 10
}

fn median_us(times_ns: impl Iterator<Item = u64>) -> f64 {
    let mut times: Vec<u64> = times_ns.collect();
    times.sort_unstable();
    times[times.len() / 2] as f64 / 1000.0
}
