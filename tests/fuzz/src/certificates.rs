//! Target: certificates, revocation lists, keys and trust bundles, as files and as members send them.
//!
//! A file that is read is written as it was read; a bundle of a stranger adds nothing to what a member trusts: whatever it learns, its own
//! authority has signed; one that was altered is refused whole.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use herd_identity::{Authority, Clock, Credentials, Identity, Role, Subject, TrustBundle};

use crate::input::{Input, push_step};

/// Bytes that an input may make the node hold.
pub const BYTES_MAX: usize = 8 << 20;

/// Runs an input: 0 and a text, or sections of PEM whose content is the input's, so that base64 is not what stops it.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    match input.byte() {
        0 => file(input.rest()),
        1 => {
            let text = String::from_utf8_lossy(input.rest());
            if let Ok(subject) = Subject::from_uri(&text) {
                assert_eq!(Subject::from_uri(&subject.uri()).ok().as_ref(), Some(&subject));
            }
        }
        _ => {
            let mut text = String::new();
            while let Some((what, bytes)) = input.step() {
                section(&mut text, LABELS[usize::from(what) % LABELS.len()], bytes);
            }
            file(text.as_bytes());
        }
    }
}

/// Returns the files of a herd, as texts and as sections.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let directory = tempfile::tempdir().expect("a directory for the authority");
    let mut authority = Authority::create(directory.path(), "five", YEAR * 10, NOW).expect("an authority");
    let riley = authority.issue(&Role::Node("Riley".into()), YEAR, NOW).expect("a certificate");
    let jaquez = authority.issue(&Role::Node("Jaquez".into()), YEAR, NOW).expect("a certificate");
    let mira = authority.issue(&Role::Operator("mira".into()), YEAR, NOW).expect("a certificate");
    authority.revoke(&Role::Node("Jaquez".into()), NOW).expect("a revocation");
    let list = authority.trust().encode();
    authority.roll(YEAR * 10, NOW + YEAR).expect("a roll-over");
    let files = [
        // The first one is what the target's node has.
        (RILEY, riley.encode()),
        ("jaquez", jaquez.encode()),
        ("operator", mira.encode()),
        ("list", list),
        ("rolled", authority.trust().encode()),
    ];
    let mut seeds = vec![("uri".into(), [&[1], riley.certificate().subject().uri().as_bytes()].concat())];
    for (name, text) in files {
        seeds.push((format!("{name}-sections"), sections_of(&text)));
        seeds.push((name.into(), [&[0], text.as_bytes()].concat()));
    }
    seeds
}

const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CRL", "PRIVATE KEY"];
pub(crate) const NOW: Duration = Duration::from_secs(1_795_715_122);
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// Name of the seed that has the credentials of the node that reads bundles.
const RILEY: &str = "riley";

/// Credentials of the corpus, because the bundles of the corpus are of the same authority.
pub(crate) static RILEYS: LazyLock<Credentials> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/certificates").join(RILEY);
    let seed =
        std::fs::read(&path).expect("the corpus has the credentials of a node; tests/fuzz/run --seeds makes them");
    Credentials::parse(&seed[1..]).expect("the seed is a file of credentials")
});

fn file(text: &[u8]) {
    if let Ok(credentials) = Credentials::parse(text) {
        let written = credentials.encode();
        let again = Credentials::parse(written.as_bytes()).expect("what is written can be read");
        assert_eq!(again.encode(), written);
        let _ = credentials.check(NOW);
    }
    if let Ok(bundle) = TrustBundle::parse(text) {
        let written = bundle.encode();
        assert_eq!(TrustBundle::parse(written.as_bytes()).expect("what is written can be read").encode(), written);
    }
    let identity = Identity::new(RILEYS.clone(), Clock::new(|| NOW)).expect("the credentials of the corpus are good");
    let before = identity.trust_bytes();
    match identity.learn(text) {
        Ok(true) => {
            // Learned once, it is known, also with what was known before.
            let after = identity.trust_bytes();
            assert_ne!(after, before);
            assert!(!identity.learn(&after).expect("an own bundle is good"), "the own bundle is news");
            assert!(!identity.learn(&before).expect("an own bundle is good"), "an older bundle is news");
            assert!(!identity.learn(text).expect("a bundle that was good is good"), "a bundle is news twice");
        }
        Ok(false) | Err(_) => assert_eq!(identity.trust_bytes(), before, "a bundle that is no news changed something"),
    }
}

fn section(text: &mut String, label: &str, der: &[u8]) {
    text.push_str(&format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der)));
}

/// Returns the sections of a text as steps.
fn sections_of(text: &str) -> Vec<u8> {
    let mut seed = vec![2];
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").expect("a label ends");
        let (body, after) = after.split_once("-----END").expect("a section ends");
        let der = BASE64_STANDARD.decode(body.split_whitespace().collect::<String>()).expect("a section is base64");
        let what = LABELS.iter().position(|known| *known == label).expect("a section of a known kind");
        push_step(&mut seed, what as u8, &der);
        rest = after;
    }
    seed
}
