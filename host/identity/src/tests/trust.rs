//! Trust bundles: merging, revocation lists in any order, forged ones, and roll-over of an authority.

use super::{DAY, Herd, NOW, YEAR, handshake, identity, node, refusals};
use crate::trust_bundle::{Merge, PeerSide};
use crate::{Authority, HandshakeError, PeerError, Protocol, ROOTS_MAX, TrustBundle, TrustError};

/// Merges, and says whether that changed anything.
fn merge(bundle: &mut TrustBundle, other: &TrustBundle) -> Result<bool, TrustError> {
    match bundle.merge(other, NOW)? {
        Merge::Same => Ok(false),
        Merge::Newer(merged) => {
            *bundle = merged;
            Ok(true)
        }
    }
}

fn parse(authority: &Authority) -> TrustBundle {
    TrustBundle::parse(authority.trust().encode().as_bytes()).unwrap()
}

#[test]
fn trust_takes_the_newer_list_and_refuses_an_older_one() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.issue("Riley"), herd.issue("Jaquez"));
    let first = parse(&herd.authority);
    herd.authority.revoke(&node("Riley"), NOW).unwrap();
    let second = parse(&herd.authority);
    herd.authority.revoke(&node("Jaquez"), NOW).unwrap();
    let third = parse(&herd.authority);
    let number = |bundle: &TrustBundle| bundle.lists().map(|list| list.number()).collect::<Vec<_>>();
    assert_eq!((number(&first), number(&second), number(&third)), (vec![1], vec![2], vec![3]));

    let mut bundle = second.clone();
    assert_eq!(merge(&mut bundle, &first), Ok(false), "an older list changes nothing");
    assert!(bundle.revokes(riley.certificate()) && !bundle.revokes(jaquez.certificate()));
    assert_eq!(merge(&mut bundle, &third), Ok(true));
    assert_eq!(merge(&mut bundle, &second), Ok(false));
    assert!(bundle.revokes(riley.certificate()) && bundle.revokes(jaquez.certificate()));
    assert_eq!(bundle.encode(), third.encode());
}

#[test]
fn trust_refuses_a_list_of_another_authority() {
    let (mut herd, mut other) = (Herd::new("five"), Herd::new("five"));
    let (riley, _) = (herd.issue("Riley"), other.issue("Riley"));
    other.authority.revoke(&node("Riley"), NOW).unwrap();
    let mut bundle = parse(&herd.authority);
    // It comes with a root that nobody here vouches for, and is left aside with it.
    assert_eq!(merge(&mut bundle, &parse(&other.authority)), Ok(false));
    // It comes with the root of this herd, and says that it is of another one.
    let list = other.authority.trust().lists().next().unwrap();
    let root = herd.authority.root();
    assert!(matches!(TrustBundle::new(vec![root.clone()], vec![list.clone()]), Err(TrustError::Forged)));
    // Another herd is an error, so that mixed-up addresses are noticed.
    assert_eq!(merge(&mut bundle, &parse(&Herd::new("six").authority)), Err(TrustError::WrongHerd));
    assert!(!bundle.revokes(riley.certificate()));
}

/// A thief of a node's key signs a list with it, or alters that of the authority.
#[test]
fn trust_refuses_a_forged_list() {
    let mut herd = Herd::new("five");
    herd.issue("Riley");
    let root = herd.authority.root().clone();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let forged = crate::sign::list(&root, &key, u64::MAX, &[], NOW).unwrap();
    assert!(forged.is_of(&root) && !forged.is_signed_by(&root));
    assert!(matches!(TrustBundle::new(vec![root.clone()], vec![forged]), Err(TrustError::Forged)));

    herd.authority.revoke(&node("Riley"), NOW).unwrap();
    let list = herd.authority.trust().list_of(&root).unwrap();
    let serial = list.revoked().next().unwrap().0.as_bytes().to_vec();
    let mut der = list.der().to_vec();
    let at = der.windows(serial.len()).position(|window| window == serial).unwrap();
    der[at + 7] ^= 1;
    let altered = crate::RevocationList::parse(&der).unwrap();
    assert!(matches!(TrustBundle::new(vec![root], vec![altered]), Err(TrustError::Forged)));
}

#[test]
fn trust_refuses_what_does_not_belong_in_a_bundle() {
    let mut herd = Herd::new("five");
    let riley = herd.issue("Riley");
    let parse = |text: &str| TrustBundle::parse(text.as_bytes()).map(|_| ()).unwrap_err();
    assert_eq!(parse(&riley.encode()), TrustError::Foreign, "a private key");
    assert_eq!(parse(""), TrustError::Roots);
    assert_eq!(parse("-----BEGIN CERTIFICATE-----\nAAAA\n"), TrustError::Pem(crate::PemError::Damaged));
    assert_eq!(parse(&"#".repeat(crate::TRUST_BYTES_MAX + 1)), TrustError::TooLong);
    let two_herds = format!("{}{}", herd.authority.trust().encode(), Herd::new("six").authority.trust().encode());
    assert_eq!(parse(&two_herds), TrustError::WrongHerd);
    let many = (0..=ROOTS_MAX).map(|_| Herd::new("five").authority.trust().encode()).collect::<String>();
    assert_eq!(parse(&many), TrustError::Roots);
    // A root that is not signed by itself.
    let (root, other) = (herd.authority.root(), Herd::new("five").authority.root().clone());
    assert!(!root.is_signed_by(&other));
    let mut der = root.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let damaged = crate::Certificate::parse(&der).unwrap();
    assert!(matches!(TrustBundle::new(vec![damaged], vec![]), Err(TrustError::Forged)));
}

/// Goal: an authority is rolled over while nodes know nothing of it, and in any order of their learning no pair is cut off.
#[tokio::test]
async fn trust_spreads_a_roll_over_by_links_and_cuts_nobody_off() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.member("Riley"), herd.member("Jaquez"));
    herd.authority.roll(YEAR * 10, NOW).unwrap();
    let renewed = herd.member("Campbell");
    assert_eq!(herd.authority.trust().roots().count(), 2);
    // Neither has heard of the new authority: Campbell brings its proof along.
    for old in [&riley, &jaquez] {
        for (client, server) in [(&renewed, old), (old, &renewed)] {
            let (connected, accepted) = handshake(client, server, Protocol::Link).await;
            assert!(connected.is_ok() && accepted.is_ok());
        }
    }
    // The bundle passes from member to member, and ends.
    assert_eq!(riley.learn(&renewed.trust_bytes()), Ok(true));
    assert_eq!(jaquez.learn(&riley.trust_bytes()), Ok(true));
    assert_eq!(riley.learn(&jaquez.trust_bytes()), Ok(false));
    assert_eq!(jaquez.trust_bytes(), renewed.trust_bytes());

    // All have new certificates, the old authority is retired, and what it signed is of no use where that has arrived.
    let old = identity(&jaquez.credentials(), NOW);
    assert_eq!(herd.authority.retire().unwrap(), 1);
    let (riley_renewed, jaquez_renewed) = (herd.issue("Riley"), herd.issue("Jaquez"));
    assert!(riley.renew(&riley_renewed).unwrap() && jaquez.renew(&jaquez_renewed).unwrap());
    assert_eq!(riley.credentials().trust().roots().count(), 1);
    assert!(handshake(&riley, &jaquez, Protocol::Link).await.1.is_ok());
    let (_, here) = refusals(&old, &riley).await;
    assert!(matches!(here, HandshakeError::Peer(PeerError::UnknownAuthority(_))), "{here}");
    // A member that still trusts the old one does not bring it back.
    assert_eq!(riley.learn(&old.trust_bytes()), Ok(false));
    assert_eq!(riley.credentials().trust().roots().count(), 1);
}

#[test]
fn trust_takes_a_new_authority_only_from_one_that_it_trusts() {
    let mut herd = Herd::new("five");
    let mut bundle = parse(&herd.authority);
    herd.authority.roll(YEAR, NOW).unwrap();
    let rolled = parse(&herd.authority);
    // Without the link, the new root is anybody's.
    let unlinked = TrustBundle::new(rolled.roots().cloned().collect(), vec![]).unwrap();
    assert_eq!(merge(&mut bundle, &unlinked), Ok(false));
    // A link of another authority leads nowhere.
    let mut other = Herd::new("five");
    other.authority.roll(YEAR, NOW).unwrap();
    assert_eq!(merge(&mut bundle, &parse(&other.authority)), Ok(false));
    assert_eq!(merge(&mut bundle, &rolled), Ok(true));
    assert_eq!(bundle.encode(), rolled.encode());
}

#[test]
fn trust_follows_several_roll_overs_at_once_and_has_a_limit() {
    let mut herd = Herd::new("five");
    let mut bundle = parse(&herd.authority);
    for _ in 1..ROOTS_MAX {
        herd.authority.roll(YEAR * 20, NOW).unwrap();
    }
    assert!(matches!(herd.authority.roll(YEAR, NOW), Err(crate::AuthorityError::TooManyRoots)));
    let newest = herd.issue("Riley");
    // A peer that trusts the very first authority accepts the chain over all of them.
    let peer = bundle.verify(&newest.chain(), PeerSide::Server, NOW).unwrap();
    assert_eq!((peer.node(), newest.chain().len()), (Some("Riley"), crate::CHAIN_MAX));
    assert_eq!(merge(&mut bundle, &parse(&herd.authority)), Ok(true));
    assert_eq!(bundle.roots().count(), ROOTS_MAX);
    // A revocation by the newest, where only the oldest is known, waits for its root; with it, it counts.
    herd.authority.revoke(&node("Riley"), NOW).unwrap();
    assert_eq!(merge(&mut bundle, &parse(&herd.authority)), Ok(true));
    assert!(matches!(bundle.verify(&newest.chain(), PeerSide::Server, NOW), Err(PeerError::Revoked { .. })));
}

#[test]
fn trust_forgets_expired_authorities() {
    let mut herd = Herd::new("five");
    let old = herd.issue("Riley");
    herd.authority.roll(YEAR * 30, NOW + YEAR * 9).unwrap();
    let mut bundle = parse(&herd.authority);
    let later = NOW + YEAR * 11;
    // webpki does not look at the validity of roots; the certificate of a member cannot be valid for longer than its root.
    let Err(PeerError::Expired { .. }) = bundle.verify(&old.chain(), PeerSide::Client, later) else { panic!() };
    let Merge::Newer(merged) = bundle.merge(&parse(&herd.authority), later).unwrap() else { panic!() };
    bundle = merged;
    assert_eq!((bundle.roots().count(), bundle.lists().count(), bundle.links().len()), (1, 1, 0));
    // Of the last one no node lets go, or it could not say what is wrong.
    let Merge::Same = bundle.merge(&bundle.clone(), NOW + YEAR * 50).unwrap() else { panic!() };
}

#[test]
fn trust_does_not_outlive_its_authority() {
    let mut herd = Herd::new("five");
    let riley = herd.authority.issue(&node("Riley"), YEAR * 100, NOW).unwrap();
    assert_eq!(riley.certificate().validity().not_after, herd.authority.root().validity().not_after);
    assert!(matches!(
        riley.check(NOW + YEAR * 10 + DAY),
        Err(PeerError::Expired { .. } | PeerError::UnknownAuthority(_))
    ));
}

/// webpki does not look at the validity of a root, and a thief of its key does not keep to it.
#[test]
fn trust_in_an_expired_authority_is_over() {
    let key = || rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let (root_key, riley_key) = (key(), key());
    let (authority, riley) =
        (crate::Subject::new("five", crate::Role::Authority), crate::Subject::new("five", node("Riley")));
    let root = crate::sign::root(&authority.unwrap(), &root_key, crate::Validity::starting(NOW, DAY)).unwrap();
    let validity = crate::Validity::starting(NOW, YEAR);
    let long = crate::sign::member(&riley.unwrap(), &riley_key, validity, &root, &root_key).unwrap();
    let bundle = TrustBundle::new(vec![root], vec![]).unwrap();
    let verify = |now| bundle.verify(&[long.der().clone()], PeerSide::Client, now);
    assert!(verify(NOW).is_ok());
    assert_eq!(verify(NOW + DAY * 2).unwrap_err(), PeerError::UnknownAuthority(node("Riley")));
}
