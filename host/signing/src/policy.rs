//! Policy of a node: which guests it accepts.
//!
//! Two questions, which differ in what the end of a key means. A guest that is new to a node needs keys that have not ended. One that the
//! node has accepted before, and loads again after a restart, needs signatures that fit and keys that are still trusted: the end of a key must
//! not take the logic from a node that restarts.

use std::time::Duration;

use herd_model::{Digest, GuestFiles};

use crate::provenance::{Provenance, Signer};
use crate::refusal::NotAccepted;
use crate::requirement::SignatureRequirement;
use crate::signature_file::SignatureFile;
use crate::verdict::Verdict;

/// Guests that a node accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignaturePolicy {
    /// Signatures that a guest needs. `None`: none.
    pub requirement: Option<SignatureRequirement>,
    /// Guest inside the program, which needs none.
    pub built_in: Option<Digest>,
    /// A moment that is certainly past, since the Unix epoch: keys that ended before it have ended, whatever the clock says. That of a host
    /// without a battery begins in 1970, until it has reached a server for the time.
    pub past: Duration,
}

impl SignaturePolicy {
    /// Returns who answers for a guest that is new to the node, at a time since the Unix epoch.
    ///
    /// # Errors
    ///
    /// It has not the signatures that it needs, of keys that have not expired.
    pub fn accept(&self, files: GuestFiles<'_>, now: Duration) -> Result<Provenance, NotAccepted> {
        self.judge(files, now, |verdict| *verdict == Verdict::Valid)
    }

    /// Returns who answers for a guest that this node accepted before.
    ///
    /// # Errors
    ///
    /// It has not the signatures that it needs. Keys that have expired since count.
    pub fn recognize(&self, files: GuestFiles<'_>, now: Duration) -> Result<Provenance, NotAccepted> {
        self.judge(files, now, |verdict| matches!(verdict, Verdict::Valid | Verdict::Expired(_)))
    }

    /// Returns who answers for bytes other than a guest, which need the signatures that a guest needs.
    ///
    /// # Errors
    ///
    /// They have not those signatures, of keys that have not expired.
    pub fn accept_statement(
        &self,
        statement: &[u8],
        signatures: &[u8],
        now: Duration,
    ) -> Result<Provenance, NotAccepted> {
        let signatures = (!signatures.is_empty()).then_some(signatures);
        self.verify(statement, signatures, now, |verdict| *verdict == Verdict::Valid)
    }

    fn judge(
        &self,
        files: GuestFiles<'_>,
        now: Duration,
        counts: impl Fn(&Verdict) -> bool,
    ) -> Result<Provenance, NotAccepted> {
        if self.requirement.is_some() && self.built_in.is_some_and(|built_in| built_in == Digest::of(files.guest)) {
            return Ok(Provenance::BuiltIn);
        }
        self.verify(files.guest, files.signatures, now, counts)
    }

    fn verify(
        &self,
        signed: &[u8],
        signatures: Option<&[u8]>,
        now: Duration,
        counts: impl Fn(&Verdict) -> bool,
    ) -> Result<Provenance, NotAccepted> {
        let Some(requirement) = &self.requirement else { return Ok(Provenance::NotRequired) };
        let now = now.max(self.past);
        let parsed = signatures.map_or_else(|| Ok(SignatureFile::default()), SignatureFile::parse);
        let (file, unreadable) = match parsed {
            Ok(file) => (file, None),
            Err(why) => (SignatureFile::default(), Some(why)),
        };
        let verdicts = requirement.verdicts(signed, &file, now);
        // By name, so that several signatures by one key count once.
        let names = SignatureRequirement::signers(&verdicts, counts);
        if names.len() < requirement.threshold {
            return Err(NotAccepted { requirement: requirement.clone(), verdicts, unreadable });
        }
        let signers = requirement.keys.iter().filter(|(name, _)| names.contains(name.as_str()));
        let signers = signers.map(|(name, trusted)| Signer {
            name: name.clone(),
            key: trusted.key.id(),
            expires: trusted.expires,
        });
        Ok(Provenance::Signed(signers.collect()))
    }
}

#[cfg(test)]
mod tests;
