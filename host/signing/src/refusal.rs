//! Refusal of a guest for its signatures, in the words for an operator.

use std::fmt;

use crate::key_id::KeyId;
use crate::requirement::SignatureRequirement;
use crate::signature_file::BadSignatures;
use crate::verdict::{SignatureVerdict, Verdict};

/// A guest has not the signatures that a node requires. Nothing changed.
///
/// Displayed as the end of a sentence about the guest: what it has, what is missing, and what to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAccepted {
    /// What the node requires.
    pub requirement: SignatureRequirement,
    /// Verdicts on the signatures that it has.
    pub verdicts: Vec<SignatureVerdict>,
    /// Reason for which none can be read.
    pub unreadable: Option<BadSignatures>,
}

impl std::error::Error for NotAccepted {}

/// With what to type for a component. Other files are signed in other ways: see [`NotAccepted::reasons`].
impl fmt::Display for NotAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_reasons(f)?;
        f.write_str("; herd sign GUEST --key FILE adds a signature to GUEST.minisig, which herd swap GUEST sends along")
    }
}

impl NotAccepted {
    /// Returns what it has and what is missing, without what to type.
    pub fn reasons(&self) -> impl fmt::Display {
        fmt::from_fn(|f| self.write_reasons(f))
    }

    fn write_reasons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requirement: SignatureRequirement { threshold, keys }, verdicts, unreadable } = self;
        let valid = SignatureRequirement::signers(verdicts, |verdict| *verdict == Verdict::Valid);
        let named = |name: &str| keys.get(name).map_or_else(|| name.into(), |trusted| shown(name, trusted.key.id()));
        let all = |names: &[String], last: &str| match names {
            [one] => one.clone(),
            [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
            [] => String::new(),
        };
        let signed: Vec<String> = valid.iter().map(|name| named(name)).collect();
        let missing: Vec<String> =
            keys.keys().filter(|name| !valid.contains(name.as_str())).map(|name| named(name)).collect();
        match (unreadable, verdicts.is_empty()) {
            (Some(why), _) => write!(f, "its signatures cannot be read: {why}; this node requires ")?,
            (None, true) => write!(f, "it is not signed, and this node requires ")?,
            (None, false) => write!(f, "it does not have ")?,
        }
        match (keys.len(), *threshold) {
            (1, _) => write!(f, "the signature of {}", all(&missing, "and"))?,
            (of, threshold) if of == threshold => write!(f, "the signatures of all {of} keys")?,
            (of, threshold) => write!(f, "signatures by {threshold} of its {of} keys")?,
        }
        if !verdicts.is_empty() {
            f.write_str(", which this node requires")?;
        }
        if !signed.is_empty() {
            write!(f, "; signed by {}", all(&signed, "and"))?;
        }
        if keys.len() > 1 {
            let last = if missing.len() == threshold.saturating_sub(signed.len()) { "and" } else { "or" };
            write!(f, "; missing: {}", all(&missing, last))?;
        }
        for SignatureVerdict { key, name, verdict, .. } in verdicts {
            let key = name.as_deref().map_or_else(|| format!("key {key}"), |name| shown(name, *key));
            match verdict {
                Verdict::Valid => {}
                Verdict::Expired(expiry) => write!(f, "; {key} signed it, and expired at {expiry}")?,
                Verdict::Invalid => write!(
                    f,
                    "; the signature by {key} does not fit: the guest is not the file that was signed, or the signature was changed"
                )?,
                Verdict::Unknown => write!(f, "; {key} signed it, which is not one of `swap.require_signature.keys`")?,
            }
        }
        Ok(())
    }
}

fn shown(name: &str, key: KeyId) -> String {
    format!("{name} ({key})")
}
