//! Signers of guests: keys in files, made by `herd keygen`, and what can be done to a signed guest.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{HELLO, Herd, WATCH};

/// Somebody who signs guests, with a key in the directory of a herd.
pub struct Signer {
    /// Name of the key.
    pub name: String,
    /// File of the private key.
    pub private: PathBuf,
    /// File of the public key.
    pub public: PathBuf,
    /// The public key, as configurations have it.
    pub line: String,
    /// Identifier of the key.
    pub id: String,
}

/// A guest that was tampered with, or its signatures, and a part of the reason for its refusal.
pub struct Tampering {
    /// What was done.
    pub what: &'static str,
    /// The guest.
    pub guest: PathBuf,
    /// Part of the refusal by a node that requires signatures.
    pub says: String,
}

impl Signer {
    /// Makes a key.
    ///
    /// # Panics
    ///
    /// If `herd keygen` fails.
    #[must_use]
    pub fn new(herd: &Herd, name: &str) -> Self {
        let directory = herd.scratch().path("keys");
        let made = herd.herd(&["keygen", name, "--out", &directory.to_string_lossy(), "--json"]);
        let made: Value = serde_json::from_slice(&made.stdout)
            .unwrap_or_else(|_| panic!("no key: {}", String::from_utf8_lossy(&made.stderr)));
        let text = |field: &str| made[field].as_str().unwrap_or_default().to_string();
        let [private, public] = ["private_file", "public_file"].map(|field| PathBuf::from(text(field)));
        Self { name: name.into(), private, public, line: text("key"), id: text("key_id") }
    }

    /// Signs a guest, into the file beside it.
    ///
    /// # Panics
    ///
    /// If `herd sign` fails.
    pub fn sign(&self, herd: &Herd, guest: &Path) {
        let signed = herd.herd(&["sign", &guest.to_string_lossy(), "--key", &self.private.to_string_lossy()]);
        assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    }

    /// Setting by which nodes trust the key.
    #[must_use]
    pub fn trusted(&self) -> String {
        format!("swap.require_signature.keys.{}={{ key = \"{}\" }}", self.name, self.line)
    }

    /// Setting by which nodes trust the key until a moment.
    #[must_use]
    pub fn trusted_until(&self, expires: &str) -> String {
        let Self { name, line, .. } = self;
        format!("swap.require_signature.keys.{name}={{ key = \"{line}\", expires = \"{expires}\" }}")
    }

    /// Returns the file of signatures of a guest.
    #[must_use]
    pub fn signatures(guest: &Path) -> PathBuf {
        PathBuf::from(format!("{}.minisig", guest.display()))
    }
}

/// Makes a copy of a guest in the directory of a herd, so that its signatures are the test's own.
///
/// # Panics
///
/// If the guest cannot be copied.
#[must_use]
pub fn copy_guest(herd: &Herd, guest: &str, name: &str) -> PathBuf {
    herd.scratch().write(&format!("{name}.wasm"), fs::read(guest).expect("the guest was built"))
}

/// Makes every kind of tampering with a guest that `release` signed. Nodes trust that key, and `old`, which has expired, and do not know
/// `stranger`.
///
/// # Panics
///
/// If a file cannot be written.
#[must_use]
pub fn tamperings(herd: &Herd, release: &Signer, old: &Signer, stranger: &Signer) -> Vec<Tampering> {
    let does_not_fit = format!("the signature by release ({}) does not fit", release.id);
    let tampered = |name: &str, change: &dyn Fn(&Path)| {
        let guest = copy_guest(herd, HELLO, name);
        release.sign(herd, &guest);
        change(&guest);
        guest
    };
    let signed_by = |signer: &Signer, name: &str| {
        let guest = copy_guest(herd, HELLO, name);
        signer.sign(herd, &guest);
        guest
    };
    let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).expect("a file of the test is written");
    let text = |guest: &Path| fs::read_to_string(Signer::signatures(guest)).expect("it was signed");
    let change_byte = |guest: &Path| {
        let mut bytes = fs::read(guest).expect("it was copied");
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        write(guest, &bytes);
    };
    let change_signature = |guest: &Path| {
        let lines: Vec<String> = text(guest).lines().map(Into::into).collect();
        // A digit in the middle of the signature.
        let (before, after) = lines[1].split_at(60);
        let digit = if after.starts_with('A') { 'B' } else { 'A' };
        let changed = format!("{}\n{before}{digit}{}\n{}\n{}\n", lines[0], &after[1..], lines[2], lines[3]);
        write(&Signer::signatures(guest), changed.as_bytes());
    };
    let change_comment =
        |guest: &Path| write(&Signer::signatures(guest), text(guest).replace("timestamp:1", "timestamp:2").as_bytes());
    let cut = |guest: &Path| write(&Signer::signatures(guest), &text(guest).as_bytes()[..100]);
    let replace = |guest: &Path| write(guest, &fs::read(WATCH).expect("the guest was built"));
    let remove = |guest: &Path| fs::remove_file(Signer::signatures(guest)).expect("it was signed");
    let (unknown, expired) = (signed_by(stranger, "unknown"), signed_by(old, "expired"));
    let tampering = |what, guest, says: &str| Tampering { what, guest, says: says.into() };
    vec![
        tampering("a byte of the guest changed", tampered("changed", &change_byte), &does_not_fit),
        tampering("another guest in its place", tampered("other", &replace), &does_not_fit),
        tampering("a digit of the signature changed", tampered("signature", &change_signature), &does_not_fit),
        tampering("the signed comment changed", tampered("comment", &change_comment), &does_not_fit),
        tampering(
            "the signature cut off",
            tampered("cut", &cut),
            "its signatures cannot be read: from line 1 on it is no signature of minisign",
        ),
        tampering(
            "the signature removed",
            tampered("missing", &remove),
            "it is not signed, and this node requires signatures by 1 of its 2 keys",
        ),
        tampering(
            "signed by an unknown key",
            unknown,
            &format!("key {} signed it, which is not one of `swap.require_signature.keys`", stranger.id),
        ),
        tampering(
            "signed by a key that has expired",
            expired,
            &format!("old ({}) signed it, and expired at 2020-01-01T00:00:00Z", old.id),
        ),
    ]
}
