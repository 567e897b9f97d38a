//! Guests that were tampered with, and what becomes of keys.

use super::*;
use crate::{PrivateKey, Signature, TrustedKey};

const GUEST: &[u8] = b"a guest";
const NOW: Duration = Duration::from_secs(1_800_000_000);

struct Herd {
    policy: SignaturePolicy,
    keys: Vec<PrivateKey>,
}

impl Herd {
    /// Policy that requires so many of the keys `a`, `b`, `c`.
    fn requiring(threshold: usize, names: &[&str]) -> Self {
        let keys: Vec<PrivateKey> = names.iter().map(|_| PrivateKey::generate().unwrap()).collect();
        let trusted = keys.iter().map(|key| TrustedKey { key: key.public(), expires: None });
        let keys_by_name = names.iter().map(ToString::to_string).zip(trusted).collect();
        let requirement = SignatureRequirement { threshold, keys: keys_by_name };
        requirement.check().unwrap();
        Self { policy: SignaturePolicy { requirement: Some(requirement), ..SignaturePolicy::default() }, keys }
    }

    fn expiring(mut self, name: &str, at: &str) -> Self {
        let requirement = self.policy.requirement.as_mut().unwrap();
        requirement.keys.get_mut(name).unwrap().expires = Some(at.parse().unwrap());
        self
    }

    fn signed_by(&self, keys: &[usize]) -> String {
        keys.iter().map(|key| self.keys[*key].sign(GUEST, "timestamp:1").unwrap().to_string()).collect()
    }

    fn accept(&self, guest: &[u8], signatures: &str) -> Result<Vec<String>, String> {
        let signatures = Some(signatures.as_bytes()).filter(|bytes| !bytes.is_empty());
        let accepted = self.policy.accept(GuestFiles { signatures, ..GuestFiles::from(guest) }, NOW);
        accepted
            .map(|by| by.signers().iter().map(|signer| signer.name.clone()).collect())
            .map_err(|why| why.to_string())
    }

    fn recognize(&self, signatures: &str) -> bool {
        let files = GuestFiles { signatures: Some(signatures.as_bytes()), ..GuestFiles::from(GUEST) };
        self.policy.recognize(files, NOW).is_ok()
    }

    fn id(&self, key: usize) -> String {
        self.keys[key].public().id().to_string()
    }
}

#[test]
fn signed_guest_is_accepted_and_its_signers_are_named() {
    let herd = Herd::requiring(1, &["a", "b"]);
    assert_eq!(herd.accept(GUEST, &herd.signed_by(&[1])), Ok(vec!["b".into()]));
    assert_eq!(herd.accept(GUEST, &herd.signed_by(&[1, 0])), Ok(vec!["a".into(), "b".into()]));
}

#[test]
fn guest_without_a_signature_is_refused_with_the_keys_and_what_to_type() {
    let one = Herd::requiring(1, &["release"]);
    assert_eq!(
        one.accept(GUEST, "").unwrap_err(),
        format!(
            "it is not signed, and this node requires the signature of release ({}); herd sign GUEST --key FILE adds a signature to \
             GUEST.minisig, which herd swap GUEST sends along",
            one.id(0)
        )
    );
    let three = Herd::requiring(2, &["a", "b", "c"]);
    let why = three.accept(GUEST, "").unwrap_err();
    let ids = [0, 1, 2].map(|key| three.id(key));
    let wanted = format!(
        "it is not signed, and this node requires signatures by 2 of its 3 keys; missing: a ({}), b ({}) or c ({}); herd sign",
        ids[0], ids[1], ids[2]
    );
    assert!(why.starts_with(&wanted), "{why}");
}

#[test]
fn guest_whose_bytes_changed_is_refused() {
    let herd = Herd::requiring(1, &["a"]);
    let signed = herd.signed_by(&[0]);
    for at in 0..GUEST.len() {
        let mut changed = GUEST.to_vec();
        changed[at] ^= 1;
        let why = herd.accept(&changed, &signed).unwrap_err();
        let wanted = format!(
            "it does not have the signature of a ({0}), which this node requires; the signature by a ({0}) does not fit",
            herd.id(0)
        );
        assert!(why.starts_with(&wanted), "{why}");
    }
    assert!(herd.accept(&[GUEST, b"\0"].concat(), &signed).is_err(), "longer");
    assert!(herd.accept(&GUEST[1..], &signed).is_err(), "shorter");
}

/// Each bit of the two signatures, of the identifier and of the comment.
#[test]
fn guest_whose_signature_changed_is_refused() {
    let herd = Herd::requiring(1, &["a"]);
    let signed = herd.keys[0].sign(GUEST, "timestamp:1").unwrap();
    let accepts = |signature: &Signature| herd.accept(GUEST, &signature.to_string()).is_ok();
    assert!(accepts(&signed));
    for bit in 0..64 * 8 {
        let (mut one, mut other) = (signed.clone(), signed.clone());
        one.signature[bit / 8] ^= 1 << (bit % 8);
        other.comment_signature[bit / 8] ^= 1 << (bit % 8);
        assert!(!accepts(&one) && !accepts(&other), "{bit}");
    }
    for bit in 0..64 {
        let mut renamed = signed.clone();
        renamed.key.0[bit / 8] ^= 1 << (bit % 8);
        assert!(!accepts(&renamed), "{bit}");
    }
    assert!(!accepts(&Signature { comment: "timestamp:2".into(), ..signed }), "the comment is signed too");
    let of_another = herd.keys[0].sign(b"another guest", "timestamp:1").unwrap();
    assert!(!accepts(&of_another));
    assert!(!accepts(&Signature { comment_signature: of_another.comment_signature, ..signed }), "of another guest");
}

#[test]
fn guest_signed_by_an_unknown_key_is_refused_with_its_identifier() {
    let (herd, stranger) = (Herd::requiring(1, &["a"]), Herd::requiring(1, &["a"]));
    let why = herd.accept(GUEST, &stranger.signed_by(&[0])).unwrap_err();
    let wanted = format!("; key {} signed it, which is not one of `swap.require_signature.keys`;", stranger.id(0));
    assert!(why.contains(&wanted), "{why}");
    // A stranger may take any identifier.
    let mut posing = stranger.keys[0].sign(GUEST, "").unwrap();
    posing.key = herd.keys[0].public().id();
    assert!(herd.accept(GUEST, &posing.to_string()).unwrap_err().contains("does not fit"));
}

#[test]
fn guest_with_too_few_signatures_is_refused_and_one_key_counts_once() {
    let herd = Herd::requiring(2, &["a", "b", "c"]);
    let ids = [0, 1, 2].map(|key| herd.id(key));
    let why = herd.accept(GUEST, &herd.signed_by(&[1])).unwrap_err();
    let wanted = format!(
        "it does not have signatures by 2 of its 3 keys, which this node requires; signed by b ({}); missing: a ({}) or c ({}); herd sign",
        ids[1], ids[0], ids[2]
    );
    assert!(why.starts_with(&wanted), "{why}");
    let twice = herd.signed_by(&[1]) + &herd.keys[1].sign(GUEST, "another comment").unwrap().to_string();
    assert_eq!(herd.accept(GUEST, &twice).unwrap_err(), why, "two signatures by one key");
    assert_eq!(herd.accept(GUEST, &(twice + &herd.signed_by(&[2]))), Ok(vec!["b".into(), "c".into()]));
}

#[test]
fn bad_signature_beside_enough_good_ones_is_no_reason_to_refuse() {
    let (herd, stranger) = (Herd::requiring(1, &["a", "b"]), Herd::requiring(1, &["x"]));
    let of_another = herd.keys[1].sign(b"another guest", "").unwrap().to_string();
    let signatures = stranger.signed_by(&[0]) + &of_another + &herd.signed_by(&[0]);
    assert_eq!(herd.accept(GUEST, &signatures), Ok(vec!["a".into()]));
}

#[test]
fn key_that_expired_signs_no_new_guest_and_recognizes_an_old_one() {
    let herd =
        Herd::requiring(1, &["a", "b"]).expiring("a", "2027-01-15T08:00:00Z").expiring("b", "2027-01-15T08:00:01Z");
    let (by_a, by_b) = (herd.signed_by(&[0]), herd.signed_by(&[1]));
    let why = herd.accept(GUEST, &by_a).unwrap_err();
    let wanted = format!("; a ({}) signed it, and expired at 2027-01-15T08:00:00Z;", herd.id(0));
    assert!(why.contains(&wanted), "{why}");
    assert_eq!(herd.accept(GUEST, &by_b), Ok(vec!["b".into()]), "a second before it ends");
    assert!(herd.recognize(&by_a));
    let status =
        herd.policy.recognize(GuestFiles { signatures: Some(by_a.as_bytes()), ..GuestFiles::from(GUEST) }, NOW);
    assert!(status.unwrap().status(NOW).unwrap().signed_by[0].expired);
}

#[test]
fn key_has_expired_by_what_is_certainly_past_where_the_clock_begins_in_1970() {
    let mut herd = Herd::requiring(1, &["a"]).expiring("a", "2027-01-15T08:00:00Z");
    let by_a = herd.signed_by(&[0]);
    let files = GuestFiles { signatures: Some(by_a.as_bytes()), ..GuestFiles::from(GUEST) };
    assert!(herd.policy.accept(files, Duration::ZERO).is_ok(), "nothing is known of the time");
    herd.policy.past = NOW;
    let why = herd.policy.accept(files, Duration::ZERO).unwrap_err().to_string();
    assert!(why.contains("and expired at 2027-01-15T08:00:00Z"), "{why}");
    assert!(herd.policy.accept_statement(GUEST, by_a.as_bytes(), Duration::ZERO).is_err());
    assert!(herd.policy.recognize(files, Duration::ZERO).is_ok());
    herd.policy.past = NOW - Duration::from_secs(1);
    assert!(herd.policy.accept(files, Duration::ZERO).is_ok());
}

#[test]
fn key_that_was_removed_recognizes_nothing() {
    let mut herd = Herd::requiring(1, &["a", "b"]);
    let signed = herd.signed_by(&[0]);
    assert!(herd.recognize(&signed));
    herd.policy.requirement.as_mut().unwrap().keys.remove("a");
    assert!(!herd.recognize(&signed));
}

#[test]
fn signatures_that_cannot_be_read_are_refused_with_the_line() {
    let herd = Herd::requiring(1, &["a"]);
    let signed = herd.signed_by(&[0]);
    let why = herd.accept(GUEST, &signed[..signed.len() - 40]).unwrap_err();
    assert!(why.starts_with("its signatures cannot be read: from line 1 on it is no signature"), "{why}");
}

#[test]
fn guest_inside_the_program_needs_no_signature() {
    let mut herd = Herd::requiring(1, &["a"]);
    herd.policy.built_in = Some(Digest::of(GUEST));
    let built_in = herd.policy.accept(GUEST.into(), NOW).unwrap();
    assert_eq!((&built_in, built_in.status(NOW).unwrap().built_in), (&Provenance::BuiltIn, true));
    assert!(herd.accept(b"another guest", "").is_err());
    herd.policy.requirement = None;
    assert_eq!(herd.policy.accept(b"any".as_slice().into(), NOW).unwrap().status(NOW), None);
}
