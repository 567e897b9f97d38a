//! Reload: renewed credentials and revocations while connections are open.

use std::sync::Arc;

use super::{DAY, Herd, NOW, SetClock, YEAR, handshake, identity, node};
use crate::{CredentialsError, Identity, PeerError, Protocol};

#[tokio::test]
async fn reload_takes_renewed_credentials_for_new_handshakes_and_keeps_open_connections() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.member("Riley"), herd.member("Jaquez"));
    let mut changes = riley.changes();
    let (_, accepted) = handshake(&riley, &jaquez, Protocol::Link).await;
    let before = accepted.unwrap().peer;

    let renewed = herd.issue("Riley");
    assert!(riley.renew(&renewed).unwrap());
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(!riley.renew(&renewed).unwrap() && !changes.has_changed().unwrap(), "the same file is no change");

    let (_, accepted) = handshake(&riley, &jaquez, Protocol::Link).await;
    let after = accepted.unwrap().peer;
    assert_eq!(after.certificate().serial(), renewed.certificate().serial());
    assert_ne!(before.certificate().serial(), after.certificate().serial());
    assert!(jaquez.check(&before).is_ok() && jaquez.check(&after).is_ok());
}

#[tokio::test]
async fn reload_refuses_credentials_that_would_cut_the_node_off() {
    let mut herd = Herd::new("five");
    let riley = herd.member("Riley");
    let serial = riley.credentials().certificate().serial().clone();
    let other = riley.renew(&herd.issue("Jaquez")).unwrap_err();
    assert_eq!(other.to_string(), "the file is of node Jaquez of herd five, expected was node Riley of herd five");
    assert!(riley.renew(&Herd::new("six").issue("Riley")).is_err());
    let early = herd.authority.issue(&node("Riley"), YEAR, NOW + DAY).unwrap();
    assert!(matches!(riley.renew(&early), Err(CredentialsError::Useless(PeerError::NotYetValid { .. }))));
    assert_eq!(*riley.credentials().certificate().serial(), serial);
}

/// A file that was issued before a revocation, and carried after it, does not bring the revoked node back.
#[tokio::test]
async fn reload_of_an_old_file_does_not_undo_a_revocation() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.member("Riley"), herd.issue("Jaquez"));
    let carried = herd.issue("Riley");
    herd.authority.revoke(&node("Jaquez"), NOW).unwrap();
    assert!(riley.learn(&herd.trust_bytes()).unwrap());
    assert!(riley.renew(&carried).unwrap());
    assert_eq!(riley.credentials().certificate().serial(), carried.certificate().serial());
    assert!(riley.credentials().trust().revokes(jaquez.certificate()));
}

#[tokio::test]
async fn reload_of_a_revocation_ends_the_links_of_that_node_only() {
    let mut herd = Herd::new("five");
    let riley = Arc::new(herd.member("Riley"));
    let (jaquez, campbell) = (herd.member("Jaquez"), herd.member("Campbell"));
    let mut peers = Vec::new();
    for peer in [&jaquez, &campbell] {
        peers.push(handshake(peer, &riley, Protocol::Link).await.1.unwrap().peer);
    }
    // As a link does: it waits for the end of its peer, beside its other work.
    let watch = |peer: &crate::Peer| {
        let (riley, peer) = (riley.clone(), peer.clone());
        tokio::spawn(async move { riley.until_refused(&peer).await })
    };
    let (revoked, stays) = (watch(&peers[0]), watch(&peers[1]));
    tokio::task::yield_now().await;
    // News that concern neither.
    herd.issue("Bernard");
    herd.authority.revoke(&node("Bernard"), NOW).unwrap();
    assert!(riley.learn(&herd.trust_bytes()).unwrap());
    tokio::task::yield_now().await;
    assert!(!revoked.is_finished() && !stays.is_finished());

    herd.authority.revoke(&node("Jaquez"), NOW).unwrap();
    assert!(riley.learn(&herd.trust_bytes()).unwrap());
    let error = revoked.await.unwrap();
    assert!(matches!(&error, PeerError::Revoked { role, .. } if *role == node("Jaquez")), "{error}");
    tokio::task::yield_now().await;
    assert!(!stays.is_finished());
    stays.abort();
}

/// The check comes before the wait: a revocation that arrived between the handshake and the wait is not missed.
#[tokio::test]
async fn reload_between_handshake_and_wait_is_noticed() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.member("Riley"), herd.member("Jaquez"));
    let peer = handshake(&jaquez, &riley, Protocol::Link).await.1.unwrap().peer;
    herd.authority.revoke(&node("Jaquez"), NOW).unwrap();
    riley.learn(&herd.trust_bytes()).unwrap();
    assert!(matches!(riley.until_refused(&peer).await, PeerError::Revoked { .. }));
}

#[tokio::test]
async fn reload_follows_the_clock_for_open_connections() {
    let mut herd = Herd::new("five");
    let clock = SetClock::at(NOW);
    let riley = Identity::new(herd.issue("Riley"), clock.clock()).unwrap();
    let jaquez = identity(&herd.authority.issue(&node("Jaquez"), DAY, NOW).unwrap(), NOW);
    let peer = handshake(&jaquez, &riley, Protocol::Link).await.1.unwrap().peer;
    clock.set(NOW + DAY);
    assert!(riley.check(&peer).is_ok());
    clock.set(NOW + DAY * 2);
    assert!(matches!(riley.check(&peer), Err(PeerError::Expired { .. })));
}

#[test]
fn reload_is_stored_and_loaded_again() {
    let mut herd = Herd::new("five");
    let scratch = tempfile::tempdir().unwrap();
    let path = crate::credentials_path(scratch.path(), "Riley");
    let riley = herd.member("Riley");
    herd.issue("Jaquez");
    herd.authority.revoke(&node("Jaquez"), NOW).unwrap();
    riley.learn(&herd.trust_bytes()).unwrap();
    riley.credentials().store(&path).unwrap();
    let loaded = crate::Credentials::load(&path).unwrap();
    assert_eq!(loaded.encode(), riley.credentials().encode());
    assert!(
        loaded.encode().starts_with("Certificate and private key of node Riley of herd five.\nKeep this file secret")
    );
}
