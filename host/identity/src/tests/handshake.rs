//! Handshakes: who is let in as whom, and what both sides are told if not.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{DAY, Herd, NOW, YEAR, handshake, identity, node, refusals};
use crate::trust_bundle::TrustBundle;
use crate::validity::Validity;
use crate::{
    BACKDATED, Credentials, HANDSHAKE_BYTES_MAX, HandshakeError, Identity, PeerError, Protocol, Role, Subject,
};

#[tokio::test]
async fn handshake_names_both_nodes() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.member("Riley"), herd.member("Jaquez"));
    for protocol in [Protocol::Link, Protocol::Admin] {
        let (connected, accepted) = handshake(&riley, &jaquez, protocol).await;
        let (connected, accepted) = (connected.unwrap(), accepted.unwrap());
        assert_eq!((connected.peer.node(), accepted.peer.node()), (Some("Jaquez"), Some("Riley")));
        assert_eq!((connected.protocol, accepted.protocol), (protocol, protocol));
        assert_eq!(connected.peer.subject().to_string(), "node Jaquez of herd five");
        let tls = connected.stream.get_ref().1;
        assert_eq!(tls.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(tls.handshake_kind(), Some(rustls::HandshakeKind::Full), "sessions are not resumed");
    }
}

#[tokio::test]
async fn handshake_carries_data_after_it_beyond_its_limit() {
    let mut herd = Herd::new("five");
    let (connected, accepted) = handshake(&herd.member("Riley"), &herd.member("Jaquez"), Protocol::Link).await;
    let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
    let sent = vec![7; 3 * HANDSHAKE_BYTES_MAX];
    let mut received = vec![0; sent.len()];
    let send = async {
        connected.stream.write_all(&sent).await.unwrap();
        connected.stream.flush().await.unwrap();
    };
    let (_, read) = tokio::join!(send, accepted.stream.read_exact(&mut received));
    assert_eq!((read.unwrap(), received), (sent.len(), sent));
}

#[tokio::test]
async fn handshake_lets_an_operator_administer_and_not_link() {
    let mut herd = Herd::new("five");
    let operator = identity(&herd.authority.issue(&Role::Operator("alice".into()), YEAR, NOW).unwrap(), NOW);
    let riley = herd.member("Riley");
    let (_, accepted) = handshake(&operator, &riley, Protocol::Admin).await;
    let peer = accepted.unwrap().peer;
    assert_eq!((peer.node(), peer.subject().to_string()), (None, "operator alice of herd five".into()));
    let (_, accepted) = handshake(&operator, &riley, Protocol::Link).await;
    assert!(matches!(accepted.unwrap_err(), HandshakeError::Peer(PeerError::WrongRole(_))));
    // Nobody connects to an operator: his certificate is none of a server.
    let (connected, _) = handshake(&riley, &operator, Protocol::Admin).await;
    assert!(matches!(connected.unwrap_err(), HandshakeError::Peer(PeerError::WrongRole(_))));
}

#[tokio::test]
async fn handshake_refuses_another_herd() {
    let (riley, stranger) = (Herd::new("five").member("Riley"), Herd::new("six").member("Jaquez"));
    // The side that connects sees the other's certificate first.
    let (here, there) = refusals(&riley, &stranger).await;
    assert_eq!(here.to_string(), "the peer is node Jaquez of herd six, and this is herd five");
    assert_eq!((here.label(), there.label()), ("wrong_herd", "refused_by_peer"));
    assert!(there.to_string().contains("another herd"), "{there}");
}

#[tokio::test]
async fn handshake_refuses_an_authority_of_the_same_name() {
    let (riley, impostor) = (Herd::new("five").member("Riley"), Herd::new("five").member("Jaquez"));
    let (here, there) = refusals(&riley, &impostor).await;
    assert!(matches!(here, HandshakeError::Peer(PeerError::UnknownAuthority(_))), "{here}");
    assert!(here.to_string().contains("herd certs issue"), "{here}");
    assert!(there.to_string().contains("does not trust the authority"), "{there}");
}

#[tokio::test]
async fn handshake_refuses_expired_and_early_certificates() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.issue("Riley"), herd.authority.issue(&node("Jaquez"), DAY, NOW).unwrap());
    // Each side judges by its own clock: that of Jaquez lags, or his node would not have started.
    let (here, there) = refusals(&identity(&riley, NOW + DAY * 3), &identity(&jaquez, NOW)).await;
    assert_eq!(
        here.to_string(),
        "the certificate of node Jaquez expired on 2026-11-27 17:45 UTC, 2 days ago; renew it with `herd certs renew`, or correct the \
         clock of this host"
    );
    assert_eq!(here.label(), "expired");
    assert!(there.to_string().contains("by its clock"), "{there}");

    // Of this host, the clock is two hours slow. Another day, so that its own certificate is valid.
    let late = herd.authority.issue(&node("Campbell"), YEAR, NOW + DAY).unwrap();
    let (here, _) = refusals(&identity(&riley, NOW + DAY - BACKDATED * 3), &identity(&late, NOW + DAY)).await;
    assert_eq!(
        here.to_string(),
        "the certificate of node Campbell is valid from 2026-11-27 16:45 UTC on, and the clock of this host says 2026-11-27 14:45 UTC, \
         2 hours earlier: set it, or the clock of the host with the authority"
    );
    assert_eq!(here.label(), "not_yet_valid");
    // An hour is forgiven.
    let (connected, _) =
        handshake(&identity(&riley, NOW + DAY - BACKDATED), &identity(&late, NOW + DAY), Protocol::Link).await;
    assert!(connected.is_ok());
}

/// A host without a battery begins in 1970, until it has reached a server for the time; that may be behind a link.
#[tokio::test]
async fn handshake_on_a_clock_that_was_not_set_goes_by_the_start_of_certificates() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.issue("Riley"), herd.authority.issue(&node("Jaquez"), YEAR, NOW + DAY).unwrap());
    let unset = identity(&riley, Duration::ZERO);
    let (connected, accepted) = handshake(&unset, &identity(&jaquez, NOW + DAY), Protocol::Link).await;
    assert!(connected.is_ok() && accepted.is_ok(), "{connected:?}");
    // What needs no clock is refused as ever.
    let thief = herd.member("Thief");
    herd.authority.revoke(&node("Thief"), NOW).unwrap();
    assert!(unset.learn(&herd.trust_bytes()).unwrap());
    assert_eq!(refusals(&unset, &thief).await.0.label(), "revoked");
    assert_eq!(refusals(&unset, &Herd::new("five").member("Jaquez")).await.0.label(), "unknown_authority");
    // So is what had expired before anything that this host knows of was made, as a root of next year says.
    let slow = identity(&riley, NOW - BACKDATED * 2);
    assert!(handshake(&slow, &identity(&jaquez, NOW + DAY), Protocol::Link).await.0.is_ok());
}

#[tokio::test]
async fn handshake_refuses_a_revoked_node_from_either_side() {
    let mut herd = Herd::new("five");
    let (riley, thief) = (herd.member("Riley"), herd.member("Jaquez"));
    assert_eq!(herd.authority.revoke(&node("Jaquez"), NOW).unwrap(), 1);
    assert!(riley.learn(&herd.trust_bytes()).unwrap());
    let (here, there) = refusals(&riley, &thief).await;
    assert!(matches!(here, HandshakeError::Peer(PeerError::Revoked { .. })), "{here}");
    assert!(there.to_string().contains("was revoked"), "{there}");
    let (there, here) = refusals(&thief, &riley).await;
    assert_eq!(here.label(), "revoked");
    assert!(there.to_string().contains("was revoked"), "{there}");
    // Others, and a new certificate of the same name, are not concerned.
    for again in ["Campbell", "Jaquez"] {
        assert!(handshake(&herd.member(again), &riley, Protocol::Link).await.1.is_ok(), "{again}");
    }
}

#[tokio::test]
async fn handshake_refuses_self_signed_and_tampered_certificates() {
    let mut herd = Herd::new("five");
    let riley = herd.member("Riley");
    // Signed by a root that the forger made under the name of the real one.
    let subject = Subject::new("five", Role::Authority).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let root = crate::sign::root(&subject, &key, Validity::starting(NOW, YEAR)).unwrap();
    let jaquez = Subject::new("five", node("Jaquez")).unwrap();
    let forged = crate::sign::member(&jaquez, &key, Validity::starting(NOW, YEAR), &root, &key).unwrap();
    let own_root = TrustBundle::new(vec![root], vec![]).unwrap();
    let (here, _) = refusals(&riley, &identity(&Credentials::new(forged, &key, own_root), NOW)).await;
    assert_eq!(here.label(), "unknown_authority");

    // Signed by the real authority, and one letter of the name changed since.
    let mut herd = Herd::new("five");
    let real = herd.issue("Jaquez");
    let mut der = real.certificate().der().to_vec();
    let at = der.windows(6).rposition(|window| window == b"Jaquez").unwrap();
    der[at] = b'K';
    let tampered = vec![rustls::pki_types::CertificateDer::from(der)];
    let error = real.trust().verify(&tampered, crate::trust_bundle::PeerSide::Client, NOW).unwrap_err();
    assert_eq!(error, PeerError::Forged(node("Kaquez")));
}

#[tokio::test]
async fn handshake_refuses_a_certificate_without_its_key() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.issue("Riley"), herd.issue("Jaquez"));
    // Everybody who was connected with Jaquez has his certificate.
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let trust = TrustBundle::parse(&herd.trust_bytes()).unwrap();
    let thief = identity(&Credentials::new(jaquez.certificate().clone(), &key, trust), NOW);
    let (here, _) = refusals(&identity(&riley, NOW), &thief).await;
    assert!(matches!(here, HandshakeError::Peer(PeerError::Forged(_))), "{here}");
    let (_, here) = refusals(&thief, &identity(&riley, NOW)).await;
    assert!(matches!(here, HandshakeError::Peer(PeerError::Forged(_))), "{here}");
}

/// Runs the accepting side against a client of another kind.
async fn accept_raw<F>(server: &Identity, client: impl FnOnce(DuplexStream) -> F) -> HandshakeError
where
    F: Future<Output = ()>,
{
    let (near, far) = tokio::io::duplex(1 << 16);
    let (accepted, ()) = tokio::join!(server.accept(far), client(near));
    accepted.map(|_| ()).unwrap_err()
}

/// A client of rustls with this configuration, which does not check whom it reached.
async fn tls_client(mut stream: DuplexStream, config: ClientConfig) {
    let mut tls = ClientConnection::new(Arc::new(config), ServerName::try_from("herd.invalid").unwrap()).unwrap();
    let mut buffer = [0; 4096];
    loop {
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).unwrap();
        }
        if stream.write_all(&out).await.is_err() {
            return;
        }
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => {
                tls.read_tls(&mut &buffer[..read]).unwrap();
                if tls.process_new_packets().is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

#[tokio::test]
async fn handshake_refuses_a_client_without_certificate() {
    let mut herd = Herd::new("five");
    let riley = herd.member("Riley");
    let verifier = || Arc::new(crate::verifier::Verifier::new(riley.credentials().trust().clone()));
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap().dangerous();
    let config = builder.with_custom_certificate_verifier(verifier()).with_no_client_auth();
    // Its clock is that of the test's machine, and its opinion of Riley does not matter: it is done after the server's flight.
    let mut config = config;
    config.time_provider = Arc::new(super::SetClock::at(NOW).clock());
    let error = accept_raw(&riley, |stream| tls_client(stream, config)).await;
    assert!(matches!(error, HandshakeError::Peer(PeerError::NoCertificate)), "{error}");
}

#[tokio::test]
async fn handshake_refuses_tls_1_2_and_plain_text() {
    let mut herd = Herd::new("five");
    let riley = herd.member("Riley");
    let verifier = Arc::new(crate::verifier::Verifier::new(riley.credentials().trust().clone()));
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap().dangerous();
    let config = builder.with_custom_certificate_verifier(verifier).with_no_client_auth();
    let error = accept_raw(&riley, |stream| tls_client(stream, config)).await;
    assert!(matches!(error, HandshakeError::OldTls), "{error:?}");

    for text in ["IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1520023934.918963997\n", "GET / HTTP/1.1\r\n\r\n"] {
        let error =
            accept_raw(&riley, |mut stream| async move { stream.write_all(text.as_bytes()).await.unwrap() }).await;
        assert!(matches!(error, HandshakeError::NotTls), "{error:?}");
    }
}

#[tokio::test]
async fn handshake_refuses_a_client_without_a_protocol() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.member("Riley"), herd.member("Jaquez"));
    for (protocols, expected) in [(vec![], "no_protocol"), (vec![b"h2".to_vec()], "no_protocol")] {
        let mut config = jaquez.client(Protocol::Link).0;
        config.alpn_protocols = protocols;
        let error = accept_raw(&riley, |stream| tls_client(stream, config)).await;
        assert_eq!(error.label(), expected, "{error}");
    }
}

/// A stranger sends what looks like the beginning of a very long handshake, and more of it, as long as it is taken.
#[tokio::test]
async fn handshake_reads_at_most_its_limit_from_a_stranger() {
    let mut herd = Herd::new("five");
    let riley = herd.member("Riley");
    let mut sent = 0;
    let error = accept_raw(&riley, |mut stream| {
        let sent = &mut sent;
        async move {
            // Records of 16 KiB that are parts of a client hello of 64 KiB.
            let mut record = vec![22, 3, 1, 0x40, 0];
            record.extend([1, 0, 0xff, 0xf0]);
            record.resize(5 + (1 << 14), 0);
            let more = [&[22, 3, 1, 0x40, 0][..], &[0; 1 << 14]].concat();
            while stream.write_all(if *sent == 0 { &record } else { &more }).await.is_ok() {
                *sent += record.len();
            }
        }
    })
    .await;
    assert!(matches!(error, HandshakeError::TooLarge), "{error:?}");
    // The pipe of the test holds 64 KiB.
    assert!(sent <= HANDSHAKE_BYTES_MAX + (2 << 16), "{sent}");
}

#[tokio::test]
async fn handshake_that_is_replayed_proves_nothing() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.member("Riley"), herd.member("Jaquez"));
    // Everything that Jaquez sent in a handshake that went well.
    let (near, mut wire) = tokio::io::duplex(1 << 16);
    let (mut onward, far) = tokio::io::duplex(1 << 16);
    let mut recorded = Vec::new();
    let tap = async {
        let (mut buffer, mut back) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                read = wire.read(&mut buffer) => match read.unwrap_or(0) {
                    0 => break,
                    read => {
                        recorded.extend_from_slice(&buffer[..read]);
                        onward.write_all(&buffer[..read]).await.unwrap();
                    }
                },
                read = onward.read(&mut back) => {
                    let read = read.unwrap_or(0);
                    if read == 0 || wire.write_all(&back[..read]).await.is_err() {
                        break;
                    }
                }
            }
        }
    };
    let (connected, accepted, ()) = tokio::join!(
        async { jaquez.connect(near, Protocol::Link).await.map(|_| ()) },
        async { riley.accept(far).await.map(|_| ()) },
        tap
    );
    assert!(connected.is_ok() && accepted.is_ok() && !recorded.is_empty());
    let error = accept_raw(&riley, |mut stream| async move {
        stream.write_all(&recorded).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(error.label(), "tls", "{error}");
}
