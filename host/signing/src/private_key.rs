//! Private keys, in the files of minisign that are not encrypted.
//!
//! A passphrase is left to minisign: its key files with one are recognized, and its signatures are those of this crate. Bounds:
//! [`FILE_BYTES_MAX`].

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use herd_sys::private_file::{self, FileError};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::key_id::KeyId;
use crate::public_key::{ALGORITHM, COMMENT, PublicKey};
use crate::signature::{COMMENT_BYTES_MAX, GuestHash, Signature, signed_comment};

/// Private key. Whoever has it can sign guests that nodes accept.
pub struct PrivateKey {
    id: KeyId,
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl PrivateKey {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// The machine has no randomness.
    pub fn generate() -> Result<Self, PrivateKeyError> {
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        let random = SystemRandom::new();
        let drawn = random.fill(&mut id).and_then(|()| random.fill(&mut seed));
        drawn.map_err(|_| PrivateKeyError::NoRandomness)?;
        Self::of(KeyId(id), seed)
    }

    /// Reads a key from a file that only its owner may read.
    ///
    /// # Errors
    ///
    /// See [`PrivateKeyError`].
    pub fn load(path: &Path) -> Result<Self, PrivateKeyError> {
        let text = private_file::read(path, FILE_BYTES_MAX)?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    /// Writes the key to a file for its owner alone, in place of one of the same name.
    ///
    /// # Errors
    ///
    /// The disk fails. The file has its old content.
    pub fn store(&self, path: &Path) -> Result<(), PrivateKeyError> {
        Ok(private_file::write(path, self.file().as_bytes())?)
    }

    /// Returns the public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey { id: self.id, key }
    }

    /// Signs a guest, and what the signer says of it.
    ///
    /// # Errors
    ///
    /// The comment is too long, or has control characters other than tabs.
    pub fn sign(&self, guest: &[u8], comment: &str) -> Result<Signature, PrivateKeyError> {
        if comment.len() > COMMENT_BYTES_MAX || comment.chars().any(|letter| letter.is_control() && letter != '\t') {
            return Err(PrivateKeyError::BadComment);
        }
        let sign = |bytes: &[u8]| {
            let mut signature = [0; 64];
            signature.copy_from_slice(self.pair.sign(bytes).as_ref());
            signature
        };
        let signature = sign(&GuestHash::of(guest).0);
        let comment_signature = sign(&signed_comment(&signature, comment));
        Ok(Signature { key: self.id, signature, comment: comment.into(), comment_signature })
    }

    /// Text of the file: kinds of the key, of its encryption (none) and of its checksum (zeros without encryption), parameters of the
    /// encryption, and the key.
    fn file(&self) -> String {
        let parts = [ALGORITHM.as_slice(), NOT_ENCRYPTED, CHECKSUM, &[0; 48], &self.id.0, &self.seed];
        let bytes = [&parts.concat(), self.pair.public_key().as_ref(), &[0; 32]].concat();
        format!("{COMMENT}minisign secret key, not encrypted, {}\n{}\n", self.id, BASE64_STANDARD.encode(bytes))
    }

    fn parse(text: &str) -> Result<Self, PrivateKeyError> {
        let line = text.lines().map(str::trim).nth(1).filter(|_| text.starts_with(COMMENT));
        let bytes = line.and_then(|line| BASE64_STANDARD.decode(line).ok()).ok_or(PrivateKeyError::Damaged)?;
        let bytes: [u8; 158] = bytes.try_into().map_err(|_| PrivateKeyError::Damaged)?;
        let is = |at: usize, what: &[u8]| bytes[at..].starts_with(what);
        if is(0, ALGORITHM) && is(2, SCRYPT) {
            return Err(PrivateKeyError::Encrypted);
        }
        if !is(0, ALGORITHM) || !is(2, NOT_ENCRYPTED) || !is(4, CHECKSUM) {
            return Err(PrivateKeyError::Damaged);
        }
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        id.copy_from_slice(&bytes[54..62]);
        seed.copy_from_slice(&bytes[62..94]);
        let key = Self::of(KeyId(id), seed)?;
        // In place of a checksum, which files without encryption need not have.
        if bytes[94..126] == *key.pair.public_key().as_ref() { Ok(key) } else { Err(PrivateKeyError::Damaged) }
    }

    fn of(id: KeyId, seed: [u8; 32]) -> Result<Self, PrivateKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| PrivateKeyError::Damaged)?;
        Ok(Self { id, seed, pair })
    }
}

/// Shows no secret.
impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({})", self.id)
    }
}

/// A private key cannot be made, read or used. Nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum PrivateKeyError {
    /// The file cannot be read or written, or others may read it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no private key of minisign, or damaged.
    #[error("it is no private key of herd keygen or minisign, or damaged")]
    Damaged,
    /// The key has a passphrase.
    #[error(
        "it is encrypted with a passphrase, which is for minisign: minisign -S -s KEY -m GUEST makes the same signature"
    )]
    Encrypted,
    /// The comment is too long, or would not stay a line.
    #[error("a comment has at most {COMMENT_BYTES_MAX} bytes and no control characters")]
    BadComment,
    /// The machine has no randomness.
    #[error("this machine has no randomness to make a key of")]
    NoRandomness,
}

const NOT_ENCRYPTED: &[u8] = &[0, 0];
const SCRYPT: &[u8] = b"Sc";
/// BLAKE2b, the only kind that minisign knows.
const CHECKSUM: &[u8] = b"B2";
/// Two lines take 350.
const FILE_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Made by minisign 0.11 with `-W`, without a passphrase.
    const KEY: &str = "untrusted comment: minisign encrypted secret key\n\
        RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAepw+woEk4NH7nhIPclurNvXNmQXfNJenLo+pwAyOPj4fxqGnMd0u+4JLIrPSICONQ1nB9BMI1ghzkJ4N+bPsYRaMxC6CMymvAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    const PUBLIC: &str = "RWR6nD7CgSTg0YJLIrPSICONQ1nB9BMI1ghzkJ4N+bPsYRaMxC6CMymv";
    /// Made by that key over `hello\n`.
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RUR6nD7CgSTg0Rk31NnXtzP1lh/ssruw+2u3raCSxywpH1A8J6YmnFob8EzvDd+SbL3jSKvUBcARf0STrYMABra2IPNwGRlt4gE=\n\
        trusted comment: timestamp:1795773899\tfile:f\thashed\n\
        6wy/ty+6kOkrP2xDlE+3ZmloVqw5Ag7AG1mRVtDWIf922Nc7KTesLibUmQ4ZeH3HGXNic07dWvkXb0/A7ZUJAA==\n";

    #[test]
    fn private_key_of_minisign_is_read_and_makes_its_signatures() {
        let key = PrivateKey::parse(KEY).unwrap();
        assert_eq!(key.public().to_string(), PUBLIC);
        let made = key.sign(b"hello\n", "timestamp:1795773899\tfile:f\thashed").unwrap().to_string();
        // Ed25519 makes one signature of one message.
        assert_eq!(made.lines().skip(1).collect::<Vec<_>>(), SIGNATURE.lines().skip(1).collect::<Vec<_>>());
    }

    #[test]
    fn private_key_is_stored_for_its_owner_alone_and_read_back() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("release.key");
        let key = PrivateKey::generate().unwrap();
        key.store(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(PrivateKey::load(&path).unwrap().public(), key.public());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(PrivateKey::load(&path), Err(PrivateKeyError::File(FileError::Exposed(_)))));
    }

    #[test]
    fn private_key_that_is_damaged_or_encrypted_is_refused() {
        let decoded = BASE64_STANDARD.decode(KEY.lines().nth(1).unwrap()).unwrap();
        let with = |at: usize, bytes: &[u8]| {
            let mut changed = decoded.clone();
            changed[at..at + bytes.len()].copy_from_slice(bytes);
            PrivateKey::parse(&format!("{COMMENT}x\n{}\n", BASE64_STANDARD.encode(changed))).unwrap_err()
        };
        assert!(matches!(with(2, b"Sc"), PrivateKeyError::Encrypted));
        for (at, bytes) in [(0, b"ED".as_slice()), (2, b"xx"), (4, b"xx"), (70, b"xx"), (100, b"xx")] {
            assert!(matches!(with(at, bytes), PrivateKeyError::Damaged), "{at}");
        }
        for text in ["", "x", KEY.lines().nth(1).unwrap(), &KEY[..200]] {
            assert!(matches!(PrivateKey::parse(text), Err(PrivateKeyError::Damaged)), "{text}");
        }
        let shown = format!("{:?}", PrivateKey::parse(KEY).unwrap());
        assert_eq!(shown, "PrivateKey(D1E02481C23E9C7A)");
    }

    #[test]
    fn comment_that_is_no_line_is_refused() {
        let key = PrivateKey::generate().unwrap();
        for comment in ["two\nlines", "\u{1b}[2J", &"x".repeat(COMMENT_BYTES_MAX + 1)] {
            assert!(matches!(key.sign(b"", comment), Err(PrivateKeyError::BadComment)));
        }
    }
}
