//! Signatures of guests: who made a component, and whether a node accepts it.
//!
//! The scheme is that of [minisign](https://jedisct1.github.io/minisign/): ed25519 over the BLAKE2b-512 hash of the file, in a small text
//! file beside it. Keys and signatures of its tools are read, and those written here are read by them; docs/signed-guests.md says why.
//!
//! Owns the formats of keys and signatures, and the [`SignaturePolicy`] of a node. Knows nothing of how guests travel, where they are
//! stored and what a component is: it sees bytes. The time is an argument.
//!
//! Bounds: the length of a file of signatures and the number of signatures in it; keys of a requirement.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use herd_model::GuestFiles;
//! use herd_signing::{PrivateKey, SignaturePolicy, SignatureRequirement, TrustedKey};
//!
//! let key = PrivateKey::generate()?;
//! let signature = key.sign(b"a guest", "made in a test")?.to_string();
//!
//! let trusted = TrustedKey { key: key.public(), expires: None };
//! let requirement = SignatureRequirement { threshold: 1, keys: [("release".to_string(), trusted)].into() };
//! let policy = SignaturePolicy { requirement: Some(requirement), ..SignaturePolicy::default() };
//!
//! let files = GuestFiles { signatures: Some(signature.as_bytes()), ..GuestFiles::from(b"a guest".as_slice()) };
//! assert_eq!(policy.accept(files, Duration::ZERO)?.signers()[0].name, "release");
//! let changed = GuestFiles { guest: b"another guest", ..files };
//! assert!(policy.accept(changed, Duration::ZERO).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod expiry;
mod key_id;
mod policy;
mod private_key;
mod provenance;
mod public_key;
mod refusal;
mod requirement;
mod signature;
mod signature_file;
mod verdict;

pub use expiry::{BadExpiry, Expiry};
pub use key_id::KeyId;
pub use policy::SignaturePolicy;
pub use private_key::{PrivateKey, PrivateKeyError};
pub use provenance::{Provenance, ProvenanceStatus, Signer, SignerStatus};
pub use public_key::{BadPublicKey, PublicKey};
pub use refusal::NotAccepted;
pub use requirement::{BadRequirement, SignatureRequirement, TrustedKey};
pub use signature::Signature;
pub use signature_file::{BadSignatures, SIGNATURES_MAX, SignatureFile, beside};
pub use verdict::{SignatureVerdict, Verdict};
