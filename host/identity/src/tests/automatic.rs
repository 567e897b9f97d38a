//! Automatic identities of a herd on one machine.

use super::{DAY, NOW, YEAR, handshake, identity, node};
use crate::{Authority, Credentials, NoIdentity, PeerError, Protocol, StateIdentities, credentials_path};

#[tokio::test]
async fn automatic_identities_of_one_machine_trust_one_another() {
    let scratch = tempfile::tempdir().unwrap();
    let state = StateIdentities::new(scratch.path(), "five");
    let (riley, jaquez) = (state.obtain("Riley", NOW).unwrap(), state.obtain("Jaquez", NOW).unwrap());
    assert!(handshake(&identity(&riley, NOW), &identity(&jaquez, NOW), Protocol::Link).await.1.is_ok());
    let again = state.obtain("Riley", NOW + DAY).unwrap();
    assert_eq!(again.certificate().serial(), riley.certificate().serial(), "nothing is made twice");
    assert_eq!(state.load("Riley").unwrap().encode(), riley.encode());
}

/// Five processes that start together agree on one authority. Threads stand for processes: a lock of a file is of the open file.
#[test]
fn automatic_identities_that_are_made_at_once_have_one_authority() {
    let scratch = tempfile::tempdir().unwrap();
    let state = StateIdentities::new(scratch.path(), "five");
    let nodes = ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard"];
    let made: Vec<Credentials> = std::thread::scope(|scope| {
        let threads: Vec<_> = nodes.iter().map(|name| scope.spawn(|| state.obtain(name, NOW).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let roots: Vec<_> = made.iter().map(|made| made.trust().roots().next().unwrap().serial().clone()).collect();
    assert!(roots.iter().all(|root| *root == roots[0]), "{roots:?}");
    assert_eq!(Authority::open(&state.authority_directory()).unwrap().issued().len(), nodes.len());
}

#[test]
fn automatic_identity_is_renewed_in_time_or_when_it_is_too_late() {
    let scratch = tempfile::tempdir().unwrap();
    let state = StateIdentities::new(scratch.path(), "five");
    let serial = |credentials: &Credentials| credentials.certificate().serial().clone();
    let first = state.obtain("Riley", NOW).unwrap();
    assert_eq!(serial(&state.obtain("Riley", NOW + DAY * 19).unwrap()), serial(&first));
    let second = state.obtain("Riley", NOW + DAY * 21).unwrap();
    assert_ne!(serial(&second), serial(&first));
    assert!(first.check(NOW + DAY * 21).is_ok(), "both are valid for a while, so no link has to end");
    // The machine was off for a year.
    let third = state.obtain("Riley", NOW + YEAR).unwrap();
    assert!(serial(&third) != serial(&second) && third.check(NOW + YEAR).is_ok());
    assert_eq!(serial(&state.load("Riley").unwrap()), serial(&third));
}

#[test]
fn automatic_authority_is_rolled_over_before_it_expires() {
    let scratch = tempfile::tempdir().unwrap();
    let state = StateIdentities::new(scratch.path(), "five");
    let newest = |credentials: &Credentials| credentials.trust().roots().next_back().unwrap().serial().clone();
    let mut root = newest(&state.obtain("Riley", NOW).unwrap());
    let mut roll_overs = 0;
    for half_year in 0..60 {
        let before = NOW + YEAR / 2 * half_year;
        let now = before + DAY * 21;
        let (old, new) = (state.obtain("Riley", before).unwrap(), state.obtain("Riley", now).unwrap());
        // Whoever has not looked for three weeks is still accepted, and accepts.
        assert!(old.check(now).is_ok() && new.check(now).is_ok() && new.trust().roots().count() <= 2);
        let side = crate::trust_bundle::PeerSide::Server;
        assert!(old.trust().verify(&new.chain(), side, now).is_ok());
        assert!(new.trust().verify(&old.chain(), side, now).is_ok());
        roll_overs += usize::from(newest(&new) != root);
        root = newest(&new);
    }
    assert_eq!(roll_overs, 4);
}

#[test]
fn automatic_identity_is_not_made_where_one_was_carried_to() {
    let (here, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut authority = Authority::create(scratch.path(), "five", YEAR * 10, NOW).unwrap();
    let carried = authority.issue(&node("Riley"), YEAR, NOW).unwrap();
    carried.store(&credentials_path(here.path(), "Riley")).unwrap();
    let state = StateIdentities::new(here.path(), "five");
    assert_eq!(state.obtain("Riley", NOW).unwrap().encode(), carried.encode());
    let error = state.obtain("Jaquez", NOW).unwrap_err();
    assert!(matches!(error, NoIdentity::NoFile { .. }), "{error}");
    assert!(!Authority::exists(&state.authority_directory()));
}

#[test]
fn automatic_identity_that_is_missing_says_what_to_type() {
    let state = StateIdentities::new(std::path::Path::new("/nowhere"), "five");
    let expected = "node Riley has no certificate: /nowhere/nodes/Riley.pem does not exist\n\n    \
        on the host that keeps the authority of the herd:\n        \
        herd certs init            (once for a herd)\n        \
        herd certs issue Riley\n    \
        then carry the file to this host, and here, as the user who runs the node:\n        \
        herd certs install Riley.pem";
    assert_eq!(state.load("Riley").unwrap_err().to_string(), expected);
}

#[test]
fn automatic_identity_does_not_undo_a_revocation() {
    let scratch = tempfile::tempdir().unwrap();
    let state = StateIdentities::new(scratch.path(), "five");
    let jaquez = state.obtain("Jaquez", NOW).unwrap();
    state.obtain("Riley", NOW).unwrap();
    let mut authority = Authority::open(&state.authority_directory()).unwrap();
    authority.revoke(&node("Jaquez"), NOW).unwrap();
    drop(authority);
    for now in [NOW, NOW + DAY * 21, NOW + DAY * 60] {
        let error = state.obtain("Jaquez", now).unwrap_err();
        assert!(error.to_string().contains("was revoked; if it is to come back"), "{error}");
    }
    // The others learn of it here, without a link.
    let riley = state.obtain("Riley", NOW).unwrap();
    let refused = riley.trust().verify(&jaquez.chain(), crate::trust_bundle::PeerSide::Client, NOW);
    assert!(matches!(refused, Err(PeerError::Revoked { .. })));
    assert!(state.load("Riley").unwrap().trust().revokes(jaquez.certificate()));
}

#[test]
fn automatic_identity_is_of_the_configured_herd() {
    let scratch = tempfile::tempdir().unwrap();
    StateIdentities::new(scratch.path(), "five").obtain("Riley", NOW).unwrap();
    let error = StateIdentities::new(scratch.path(), "six").obtain("Riley", NOW).unwrap_err();
    assert!(matches!(error, NoIdentity::OtherHerd { .. }), "{error}");
    let error = StateIdentities::new(scratch.path(), "six").load("Riley").unwrap_err();
    assert!(error.to_string().contains("the file is of node Riley of herd five"), "{error}");
}
