//! Code of a guest for one kind of machine, and the signatures on it.
//!
//! Owns the format of the file and what a signature is made over. Knows nothing of processors: a target is a word.

use std::fmt;
use std::time::Duration;

use herd_model::Digest;
use herd_model::limits::SIGNATURES_BYTES_MAX;
use herd_signing::{NotAccepted, PrivateKey, PrivateKeyError, Provenance, SignatureFile, SignaturePolicy};
use serde::{Deserialize, Serialize};

/// Code that a node looks for: of which guest, for which machine, by which compiler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Wanted {
    /// Digest of the component.
    pub guest: Digest,
    /// Machine on which the code runs, as the runtime writes it.
    pub target: String,
    /// Compiler whose code the node can load, with its version.
    pub compiler: String,
}

/// Code of one guest for one target.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompiledCode {
    /// Guest, target and compiler of the code.
    pub of: Wanted,
    /// Output of the compiler.
    #[serde(with = "serde_bytes")]
    pub code: Vec<u8>,
    /// Signatures in the format of a file of signatures, over [`statement`](Self::statement). Empty if there are none.
    #[serde(with = "serde_bytes")]
    pub signatures: Vec<u8>,
}

impl CompiledCode {
    /// Returns the bytes that a signature is made over: which guest, target and compiler, then the code.
    ///
    /// They begin as no component does, so a signature of code counts for no guest, nor the other way round.
    #[must_use]
    pub fn statement(&self) -> Vec<u8> {
        let Wanted { guest, target, compiler } = &self.of;
        let mut bytes =
            format!("herd compiled code 1\nguest {guest}\ntarget {target}\ncompiler {compiler}\n\n").into_bytes();
        bytes.extend_from_slice(&self.code);
        bytes
    }

    /// Returns the digest of the machine code. A compiler makes the same code of a component on every machine, so a second signer
    /// compiles the component too, and compares all of the digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.code)
    }

    /// Signs it, in place of an earlier signature by the same key.
    ///
    /// # Errors
    ///
    /// There are too many signatures, those that it has are damaged, or the key cannot sign the comment.
    pub fn sign(&mut self, key: &PrivateKey, comment: &str) -> Result<(), SignCodeError> {
        let mut file = match self.signatures.is_empty() {
            true => SignatureFile::default(),
            false => SignatureFile::parse(&self.signatures)?,
        };
        file.add(key.sign(&self.statement(), comment)?)?;
        self.signatures = file.to_string().into_bytes();
        Ok(())
    }

    /// Returns which keys of a node answer for it, at a time since the Unix epoch.
    ///
    /// # Errors
    ///
    /// Not as many keys as a guest needs, or the node has none at all.
    pub fn accepted_by(&self, policy: &SignaturePolicy, now: Duration) -> Result<Provenance, CodeNotAccepted> {
        if policy.requirement.is_none() {
            return Err(CodeNotAccepted::NoKeys);
        }
        policy.accept_statement(&self.statement(), &self.signatures, now).map_err(CodeNotAccepted::Signatures)
    }

    /// Encodes the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a vector has room, and these types can always be encoded")
    }

    /// Decodes a file.
    ///
    /// # Errors
    ///
    /// It is damaged, or too large.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadCode> {
        // Before the parser, which would reserve what a length in the file says; that is bounded by the file.
        if bytes.len() > CODE_FILE_BYTES_MAX {
            return Err(BadCode::TooLong);
        }
        let code: Self = postcard::from_bytes(bytes).map_err(|_| BadCode::Damaged)?;
        let Self { of: Wanted { target, compiler, .. }, code: machine_code, signatures } = &code;
        let is_word = |text: &str| {
            !text.is_empty() && text.len() <= WORD_BYTES_MAX && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
        };
        if machine_code.len() > CODE_BYTES_MAX || signatures.len() > SIGNATURES_BYTES_MAX {
            return Err(BadCode::TooLong);
        }
        // A line feed in one of them would make the statement of other code.
        if !is_word(target) || !is_word(compiler) {
            return Err(BadCode::Damaged);
        }
        Ok(code)
    }
}

impl fmt::Debug for CompiledCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, signatures) = (self.code.len(), self.signatures.len());
        f.debug_struct("CompiledCode")
            .field("of", &self.of)
            .field("code", &code)
            .field("signatures", &signatures)
            .finish()
    }
}

/// A file is no code. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    /// It was cut off or changed, or is another file.
    #[error("the compiled code is damaged; herd compile makes it anew")]
    Damaged,
    /// It is larger than any guest's.
    #[error("the compiled code has more than {} MiB", CODE_BYTES_MAX >> 20)]
    TooLong,
}

/// A node does not run this code. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeNotAccepted {
    /// The node trusts nobody's signature.
    #[error(
        "this node takes compiled code from nobody: it has no keys in `swap.require_signature.keys`, and code from the node of a link \
         only if `swap.compilers` names that node"
    )]
    NoKeys,
    /// The signatures do not suffice.
    #[error("the compiled code is not accepted: {}; herd sign BUNDLE --key FILE signs the guest and its code in the bundle", .0.reasons())]
    Signatures(NotAccepted),
}

/// Code could not be signed. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum SignCodeError {
    /// The signatures that it has cannot be read, or are too many.
    #[error(transparent)]
    Signatures(#[from] herd_signing::BadSignatures),
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] PrivateKeyError),
}

/// Size of the machine code of a guest, in bytes. That of one in Python has some 60 MiB.
pub const CODE_BYTES_MAX: usize = 256 << 20;
/// Size of a file of code, in bytes.
pub const CODE_FILE_BYTES_MAX: usize = CODE_BYTES_MAX + SIGNATURES_BYTES_MAX + (1 << 10);
/// Length of a target or the name of a compiler, in bytes. A target names up to some thirty processor features.
pub(crate) const WORD_BYTES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use herd_signing::{SignatureRequirement, TrustedKey};

    use super::*;

    fn code() -> CompiledCode {
        let of = Wanted {
            guest: Digest::of(b"guest"),
            target: "x86_64-unknown-linux-musl".into(),
            compiler: "wasmtime 48.0.8".into(),
        };
        CompiledCode { of, code: b"\x7fELF".to_vec(), signatures: Vec::new() }
    }

    fn policy(keys: &[&PrivateKey], threshold: usize) -> SignaturePolicy {
        let trusted = |(index, key): (usize, &&PrivateKey)| {
            (format!("key{index}"), TrustedKey { key: key.public(), expires: None })
        };
        let requirement = SignatureRequirement { threshold, keys: keys.iter().enumerate().map(trusted).collect() };
        SignaturePolicy { requirement: Some(requirement), ..SignaturePolicy::default() }
    }

    #[test]
    fn code_is_accepted_with_the_signatures_that_a_guest_needs() {
        let (key, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let mut code = code();
        let unsigned = code.accepted_by(&policy(&[&key], 1), Duration::ZERO).unwrap_err();
        let unsigned = unsigned.to_string();
        assert!(unsigned.starts_with("the compiled code is not accepted: it is not signed"), "{unsigned}");
        assert!(unsigned.contains("herd sign BUNDLE --key FILE") && !unsigned.contains("minisig"), "{unsigned}");
        code.sign(&key, "made in a test").unwrap();
        let read = CompiledCode::decode(&code.encode()).unwrap();
        assert_eq!(read, code);
        assert!(read.accepted_by(&policy(&[&key], 1), Duration::ZERO).is_ok());
        assert!(read.accepted_by(&policy(&[&other], 1), Duration::ZERO).is_err(), "signed by another key");
        assert!(read.accepted_by(&policy(&[&key, &other], 2), Duration::ZERO).is_err(), "two keys have to sign");
        let nobody = SignaturePolicy::default();
        assert_eq!(read.accepted_by(&nobody, Duration::ZERO), Err(CodeNotAccepted::NoKeys));
    }

    #[test]
    fn code_of_which_anything_was_changed_is_not_accepted() {
        let key = PrivateKey::generate().unwrap();
        let mut signed = code();
        signed.sign(&key, "made in a test").unwrap();
        let changes: [fn(&mut CompiledCode); 5] = [
            |code| code.code[0] ^= 1,
            |code| code.of.guest = Digest::of(b"another"),
            |code| code.of.target = "aarch64-unknown-linux-musl".into(),
            |code| code.of.compiler.push('1'),
            // In the second line, which is the signature.
            |code| {
                let line = code.signatures.iter().position(|&byte| byte == b'\n').unwrap();
                code.signatures[line + 40] ^= 1;
            },
        ];
        for change in changes {
            let mut changed = signed.clone();
            change(&mut changed);
            assert!(changed.accepted_by(&policy(&[&key], 1), Duration::ZERO).is_err(), "{changed:?}");
        }
        // A signature of the same bytes as a guest.
        let guest = key.sign(&signed.code, "made in a test").unwrap().to_string().into_bytes();
        let replayed = CompiledCode { signatures: guest, ..signed };
        assert!(replayed.accepted_by(&policy(&[&key], 1), Duration::ZERO).is_err());
    }

    #[test]
    fn code_whose_words_would_make_another_statement_is_refused() {
        let mut code = code();
        code.of.target = "x\ncompiler y".into();
        assert_eq!(CompiledCode::decode(&code.encode()), Err(BadCode::Damaged));
        assert_eq!(CompiledCode::decode(b"\xff\xff"), Err(BadCode::Damaged));
    }
}
