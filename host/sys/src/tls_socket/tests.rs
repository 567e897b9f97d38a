//! Both sides of a connection over loopback, in one task each.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

const NODE: &[u8] = include_bytes!("../../../../tests/data/tls/node.pem");
const KEY: &[u8] = include_bytes!("../../../../tests/data/tls/node.key");
const AUTHORITY: &[u8] = include_bytes!("../../../../tests/data/tls/authority.pem");

fn server() -> Connection {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(rustls::ALL_VERSIONS).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(NODE).unwrap()];
    let config = config.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_slice(KEY).unwrap());
    ServerConnection::new(Arc::new(config.unwrap())).unwrap().into()
}

fn client(version: &'static SupportedProtocolVersion) -> Connection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    ClientConnection::new(Arc::new(config), ServerName::try_from("herd.test").unwrap()).unwrap().into()
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0, client)
}

async fn pair(version: &'static SupportedProtocolVersion) -> (TlsSocket, TlsSocket) {
    let (at_server, at_client) = tcp_pair().await;
    let server = TlsSocket::handshake(at_server, server(), 16 << 10);
    let client = TlsSocket::handshake(at_client, client(version), 64 << 10);
    tokio::try_join!(server, client).unwrap()
}

async fn read(socket: &TlsSocket) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1000];
    loop {
        poll_fn(|cx| socket.poll_readable(cx)).await?;
        match socket.try_read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read.map(|count| buffer[..count].to_vec()),
        }
    }
}

async fn write(socket: &TlsSocket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => poll_fn(|cx| socket.poll_writable(cx)).await?,
            written => bytes = &bytes[written?..],
        }
    }
    Ok(())
}

#[tokio::test]
async fn tls_socket_carries_bytes_and_ends_both_ways() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let (server, client) = pair(version).await;
        write(&client, b"IAMAT").await.unwrap();
        assert_eq!(read(&server).await.unwrap(), b"IAMAT");
        client.end_output().unwrap();
        assert_eq!(read(&server).await.unwrap(), b"", "the end of the input");
        assert_eq!(read(&server).await.unwrap(), b"", "and again");
        write(&server, b"AT Riley").await.unwrap();
        server.end_output().unwrap();
        assert_eq!(read(&client).await.unwrap(), b"AT Riley", "after its own end");
        assert_eq!(read(&client).await.unwrap(), b"");
    }
}

/// Goal: a peer that reads late gets every byte once, and a caller is not told of bytes that are still held. Method: more than all
/// buffers together, while the peer does not read at first.
#[tokio::test]
async fn tls_socket_holds_what_a_slow_peer_does_not_take() {
    let (server, client) = pair(&rustls::version::TLS13).await;
    let sent: Vec<u8> = (0..20_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut left = &*sent;
    while let Ok(count) = server.try_write(left) {
        left = &left[count..];
    }
    assert!(!left.is_empty() && server.held.get() > 0, "the peer took everything");
    let mut received = Vec::new();
    let receiving = async {
        while received.len() < sent.len() {
            received.extend(read(&client).await.unwrap());
        }
    };
    tokio::join!(async { write(&server, left).await.unwrap() }, receiving);
    assert!(received == sent);
}

#[tokio::test]
async fn tls_socket_takes_a_cut_for_an_error_and_not_for_an_end() {
    let (server, client) = pair(&rustls::version::TLS13).await;
    write(&client, b"half a li").await.unwrap();
    // Not dropped: its socket has a ticket that nobody read, and would be reset.
    rustix::net::shutdown(client.tcp(), rustix::net::Shutdown::Write).unwrap();
    assert_eq!(read(&server).await.unwrap(), b"half a li");
    assert_eq!(read(&server).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn handshake_refuses_plain_text_and_too_much_of_it() {
    let (at_server, mut client) = tcp_pair().await;
    client.write_all(b"IAMAT kiwi +34-118 1\n").await.unwrap();
    let error = TlsSocket::handshake(at_server, server(), 16 << 10).await.err().unwrap();
    assert!(error.get_ref().is_some_and(|source| source.is::<rustls::Error>()), "{error}");
    let (at_server, mut client) = tcp_pair().await;
    // A handshake message of 60 KiB, which never ends: its first four records.
    for _ in 0..4 {
        client.write_all(&[22, 3, 1, 0x10, 0, 1, 0, 0xf0, 0]).await.unwrap();
        client.write_all(&[0; 0x1000 - 4]).await.unwrap();
    }
    let error = TlsSocket::handshake(at_server, server(), 8 << 10).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
}

#[tokio::test]
async fn tls_socket_moves_to_another_runtime() {
    let (server, client) = pair(&rustls::version::TLS13).await;
    write(&client, b"before").await.unwrap();
    let server = server.detach().unwrap().attach().unwrap();
    write(&client, b" and after").await.unwrap();
    let mut received = Vec::new();
    while received.len() < 16 {
        received.extend(read(&server).await.unwrap());
    }
    assert_eq!(received, b"before and after");
}
