//! Parsers against bytes of a stranger: random ones, and real ones with damage. None may panic, and nothing damaged may pass.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Herd, NOW, identity, node};
use crate::ledger::Ledger;
use crate::trust_bundle::PeerSide;
use crate::{Certificate, Credentials, Identity, Protocol, RevocationList, TrustBundle};

/// Real material to damage: credentials, with a list that names somebody, and a roll-over in it.
struct Material {
    riley: Credentials,
    list: Vec<u8>,
    server: Identity,
    runtime: tokio::runtime::Runtime,
}

static MATERIAL: LazyLock<Material> = LazyLock::new(|| {
    let mut herd = Herd::new("five");
    herd.issue("Jaquez");
    herd.authority.roll(super::YEAR, NOW).unwrap();
    herd.authority.revoke(&node("Jaquez"), NOW).unwrap();
    let riley = herd.issue("Riley");
    let list = riley.trust().lists().next().unwrap().der().to_vec();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    Material { server: identity(&riley, NOW), riley, list, runtime }
});

/// Runs all parsers. Any outcome but a panic is good.
fn parse_all(bytes: &[u8]) {
    let _ = Certificate::parse(bytes);
    let _ = RevocationList::parse(bytes);
    let _ = TrustBundle::parse(bytes);
    let _ = Credentials::parse(bytes);
    let _ = Ledger::parse(bytes);
    let _ = MATERIAL.riley.trust().verify(&[CertificateDer::from(bytes)], PeerSide::Client, NOW);
}

/// A place in these bytes, and what to change there.
fn damage(length: usize) -> impl Strategy<Value = (usize, u8)> {
    (0..length, 1..=u8::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        parse_all(&bytes);
        // As the content of a section, so that base64 is not what stops it.
        let mut text = String::new();
        for label in ["CERTIFICATE", "X509 CRL", "PRIVATE KEY"] {
            crate::pem::write(&mut text, label, &bytes);
            parse_all(text.as_bytes());
        }
    }

    #[test]
    fn hostile_damage_to_a_certificate_never_passes((place, flip) in damage(MATERIAL.riley.certificate().der().len())) {
        let mut chain = MATERIAL.riley.chain();
        let mut der = chain[0].to_vec();
        der[place] ^= flip;
        parse_all(&der);
        chain[0] = CertificateDer::from(der);
        prop_assert!(MATERIAL.riley.trust().verify(&chain, PeerSide::Client, NOW).is_err());
    }

    #[test]
    fn hostile_damage_to_a_list_never_passes((place, flip) in damage(MATERIAL.list.len())) {
        let mut der = MATERIAL.list.clone();
        der[place] ^= flip;
        parse_all(&der);
        if let Ok(list) = RevocationList::parse(&der) {
            let roots: Vec<_> = MATERIAL.riley.trust().roots().cloned().collect();
            prop_assert!(TrustBundle::new(roots, vec![list]).is_err());
        }
    }

    #[test]
    fn hostile_damage_to_a_file_never_panics((place, flip) in damage(MATERIAL.riley.encode().len()), cut in any::<bool>()) {
        let mut text = MATERIAL.riley.encode().into_bytes();
        text[place] ^= flip;
        text.truncate(if cut { place } else { usize::MAX });
        parse_all(&text);
        if let Ok(read) = Credentials::parse(&text) {
            // Damage outside the sections, or found by the check that follows. A cut may take the root.
            prop_assert!(read.check(NOW).is_err() || read.certificate() == MATERIAL.riley.certificate());
        }
    }

    #[test]
    fn hostile_bytes_never_pass_a_handshake(bytes in proptest::collection::vec(any::<u8>(), 0..2048), record in any::<bool>()) {
        let failed = MATERIAL.runtime.block_on(async {
            let (mut near, far) = tokio::io::duplex(1 << 16);
            let stranger = async {
                if record {
                    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                    near.write_all(&[&[22, 3, 1], &length[..]].concat()).await.unwrap();
                }
                near.write_all(&bytes).await.unwrap();
                near.shutdown().await.unwrap();
                let _ = near.read_to_end(&mut Vec::new()).await;
            };
            tokio::join!(MATERIAL.server.accept(far), stranger).0.is_err()
        });
        prop_assert!(failed);
    }

    /// TLS leaves a few bytes aside, such as the version of a record, so a damaged handshake may succeed.
    #[test]
    fn hostile_damage_to_a_handshake_makes_nobody_else((place, flip) in damage(1_600)) {
        if let Some(peer) = handshake_with_damage(place, flip) {
            prop_assert_eq!(peer.certificate(), MATERIAL.riley.certificate());
        }
    }
}

/// A handshake without a network, with one damaged byte of the client. Ends when neither side has anything to say: damage to a
/// length makes both wait. Returns whom the server let in.
fn handshake_with_damage(place: usize, flip: u8) -> Option<crate::Peer> {
    let (config, verifier) = MATERIAL.server.server();
    let mut server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    let config = MATERIAL.server.client(Protocol::Link).0;
    let mut client = rustls::ClientConnection::new(Arc::new(config), "herd.invalid".try_into().unwrap()).unwrap();
    let mut seen = 0;
    loop {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        if let Some(byte) = place.checked_sub(seen).and_then(|place| flight.get_mut(place)) {
            *byte ^= flip;
        }
        seen += flight.len();
        let mut rest = flight.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().ok()?;
        }
        if !server.is_handshaking() {
            return verifier.take_verdict()?.ok();
        }
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        if flight.is_empty() && answer.is_empty() {
            return None;
        }
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().ok()?;
        }
    }
}

#[test]
fn hostile_damage_is_found_by_a_handshake_that_succeeds_without_it() {
    let peer = handshake_with_damage(usize::MAX, 0).unwrap();
    assert_eq!(peer.certificate(), MATERIAL.riley.certificate());
}

#[test]
fn hostile_lengths_are_refused_before_anything_is_parsed() {
    let long = vec![0x30; 1 << 20];
    assert_eq!(Certificate::parse(&long).unwrap_err().to_string(), "the certificate is longer than 4096 bytes");
    assert!(RevocationList::parse(&long).unwrap_err().to_string().contains("longer than"));
    assert!(TrustBundle::parse(&long).unwrap_err().to_string().contains("longer than"));
    assert!(Credentials::parse(&long).unwrap_err().to_string().contains("longer than"));
    let sections = MATERIAL.riley.trust().encode().repeat(8);
    assert!(TrustBundle::parse(sections.as_bytes()).unwrap_err().to_string().contains("more than 16 sections"));
    // A chain of more certificates than there can be roll-overs.
    let chain = vec![MATERIAL.riley.certificate().der().clone(); crate::CHAIN_MAX + 1];
    let error = MATERIAL.riley.trust().verify(&chain, PeerSide::Client, NOW).unwrap_err();
    assert_eq!(error.label(), "chain_too_long");
    assert_eq!(MATERIAL.riley.trust().verify(&[], PeerSide::Client, NOW).unwrap_err().label(), "no_certificate");
}
