//! Requirement of signatures: so many of these keys.
//!
//! Bounds: [`KEYS_MAX`] keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::expiry::Expiry;
use crate::public_key::PublicKey;
use crate::signature::GuestHash;
use crate::signature_file::SignatureFile;
use crate::verdict::{SignatureVerdict, Verdict};

/// Keys of which some have to have signed a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRequirement {
    /// Number of keys that have to have signed it.
    pub threshold: usize,
    /// Keys by the name that people know them by.
    pub keys: BTreeMap<String, TrustedKey>,
}

/// Key that a node trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// Its end. `None`: it is trusted until it is taken out of the configuration.
    pub expires: Option<Expiry>,
}

impl SignatureRequirement {
    /// Checks that some guest can meet it, and that no key counts twice.
    ///
    /// # Errors
    ///
    /// See [`BadRequirement`].
    pub fn check(&self) -> Result<(), BadRequirement> {
        let keys: Vec<(&String, &TrustedKey)> = self.keys.iter().collect();
        if keys.is_empty() {
            return Err(BadRequirement::NoKeys);
        }
        if keys.len() > KEYS_MAX {
            return Err(BadRequirement::TooManyKeys(keys.len()));
        }
        if self.threshold == 0 || self.threshold > keys.len() {
            return Err(BadRequirement::Threshold { threshold: self.threshold, keys: keys.len() });
        }
        if let Some((name, _)) = keys.iter().find(|(name, _)| !is_name(name)) {
            return Err(BadRequirement::Name((*name).clone()));
        }
        for (index, (name, trusted)) in keys.iter().enumerate() {
            for (other, earlier) in &keys[..index] {
                let is_same = earlier.key.is_same_key(&trusted.key) || earlier.key.id() == trusted.key.id();
                if is_same {
                    return Err(BadRequirement::SameKey((*other).clone(), (*name).clone()));
                }
            }
        }
        Ok(())
    }

    /// Verifies each signature of a guest, at a time since the Unix epoch. Hashes the guest, unless no signature names a trusted key.
    #[must_use]
    pub fn verdicts(&self, guest: &[u8], file: &SignatureFile, now: Duration) -> Vec<SignatureVerdict> {
        let trusted = |id| self.keys.iter().find(|(_, trusted)| trusted.key.id() == id);
        let is_known = file.signatures().iter().any(|signature| trusted(signature.key()).is_some());
        let hash = is_known.then(|| GuestHash::of(guest));
        let verdict = |signature: &crate::Signature| {
            let key = signature.key();
            let (Some((name, trusted)), Some(hash)) = (trusted(key), &hash) else {
                return SignatureVerdict { key, name: None, comment: None, verdict: Verdict::Unknown };
            };
            let is_valid = signature.is_by(&trusted.key, hash);
            let verdict = match trusted.expires {
                _ if !is_valid => Verdict::Invalid,
                Some(expiry) if expiry.is_over(now) => Verdict::Expired(expiry),
                _ => Verdict::Valid,
            };
            let comment = is_valid.then(|| signature.comment().to_string());
            SignatureVerdict { key, name: Some(name.clone()), comment, verdict }
        };
        file.signatures().iter().map(verdict).collect()
    }

    /// Returns the names of the keys with a verdict of which `counts` is true, each once.
    pub(crate) fn signers(verdicts: &[SignatureVerdict], counts: impl Fn(&Verdict) -> bool) -> BTreeSet<&str> {
        let counting = verdicts.iter().filter(|verdict| counts(&verdict.verdict));
        counting.filter_map(|verdict| verdict.name.as_deref()).collect()
    }
}

/// Returns whether people can tell a name from the text around it.
fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_letter)
}

/// No guest could meet a requirement, or one key would count for two. Its author is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequirement {
    /// No key is trusted.
    #[error("it has no keys, so no guest could be accepted; add one that herd keygen or minisign -G made")]
    NoKeys,
    /// More keys than are looked at.
    #[error("it has {0} keys; at most {KEYS_MAX} are accepted")]
    TooManyKeys(usize),
    /// The threshold cannot be met, or needs no signature.
    #[error("its threshold is {threshold}, and it has {keys} keys; it must be 1 to {keys}")]
    Threshold {
        /// The threshold.
        threshold: usize,
        /// Number of keys.
        keys: usize,
    },
    /// A name of a key that people would misread.
    #[error("`{0}` is no name of a key; use at most {NAME_BYTES_MAX} letters, digits, and any of - _ . @")]
    Name(String),
    /// Two names of one key, or two keys with one identifier.
    #[error("{0} and {1} are one key, or have one identifier, and a key counts once; remove one of them")]
    SameKey(String, String),
}

/// Keys of a requirement: as many as signatures of a guest.
const KEYS_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    fn requirement(threshold: usize, keys: &[(&str, PublicKey)]) -> SignatureRequirement {
        let trusted = |key| TrustedKey { key, expires: None };
        SignatureRequirement {
            threshold,
            keys: keys.iter().map(|(name, key)| ((*name).into(), trusted(*key))).collect(),
        }
    }

    #[test]
    fn requirement_that_no_guest_can_meet_or_that_counts_a_key_twice_is_refused() {
        let [one, two] = [(); 2].map(|()| PrivateKey::generate().unwrap().public());
        assert_eq!(requirement(1, &[("a", one), ("b", two)]).check(), Ok(()));
        assert_eq!(requirement(2, &[("a", one), ("b", two)]).check(), Ok(()));
        assert_eq!(requirement(1, &[]).check(), Err(BadRequirement::NoKeys));
        for threshold in [0, 3] {
            let bad = BadRequirement::Threshold { threshold, keys: 2 };
            assert_eq!(requirement(threshold, &[("a", one), ("b", two)]).check(), Err(bad));
        }
        assert_eq!(requirement(1, &[("a\n", one)]).check(), Err(BadRequirement::Name("a\n".into())));
        let renamed = PublicKey { id: two.id, ..one };
        let same_id = PublicKey { key: two.key, ..one };
        for other in [one, renamed, same_id] {
            let bad = BadRequirement::SameKey("a".into(), "b".into());
            assert_eq!(requirement(2, &[("a", one), ("b", other)]).check(), Err(bad));
        }
    }
}
