//! Compiled code of a bundle as `herd inspect` shows it: for what, by which compiler, how large, and whether nodes with this configuration take
//! it.

use std::fmt;
use std::time::Duration;

use herd_code::CompiledCode;
use herd_model::Digest;
use herd_signing::{Provenance, SignaturePolicy};
use serde::Serialize;

/// Code for one target.
#[derive(Debug, Serialize)]
pub(super) struct CodeReport {
    target: String,
    compiler: String,
    bytes: usize,
    /// Of the machine code, to be compared with the output of another compiler of the same component.
    digest: Digest,
    /// Names of the keys that signed it.
    signed_by: Vec<String>,
    /// Reason for which nodes do not take it.
    refused: Option<String>,
}

impl CodeReport {
    /// Judges code, at a time since the Unix epoch.
    pub(super) fn of(policy: &SignaturePolicy, code: &CompiledCode, now: Duration) -> Self {
        let accepted = code.accepted_by(policy, now);
        let signed_by = match &accepted {
            Ok(Provenance::Signed(signers)) => signers.iter().map(|signer| signer.name.clone()).collect(),
            _ => Vec::new(),
        };
        Self {
            target: code.of.target.clone(),
            compiler: code.of.compiler.clone(),
            bytes: code.code.len(),
            digest: code.digest(),
            signed_by,
            refused: accepted.err().map(|why| why.to_string()),
        }
    }
}

impl fmt::Display for CodeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, compiler, bytes, digest, signed_by, refused } = self;
        write!(f, "code     {target}: {} KiB, {}, {compiler}; ", bytes >> 10, digest.short())?;
        match refused {
            None => write!(f, "signed by {}", signed_by.join(" and ")),
            Some(why) => f.write_str(why),
        }
    }
}
